//! Two documents about the same packets: where their verdicts differ.

use std::collections::BTreeMap;

use parallax_core::report::{Document, ResetReport};
use serde_json::Value;

/// What names a reset in any document.
fn key(reset: &ResetReport) -> String {
    format!(
        "{}:{} -> {}:{} {} seq {} ack {:?}",
        reset.src, reset.sport, reset.dst, reset.dport, reset.flags, reset.seq, reset.ack
    )
}

/// What the documents rest on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// The same packets of the same files.
    Same,
    /// One knows more of what its vantages can swear to, and may be surer.
    Live,
}

/// Everything that a verdict says, without what may differ: ids, wording, and estimates of clocks.
fn said(document: &Document, evidence: Evidence) -> BTreeMap<String, Value> {
    let keys: BTreeMap<_, _> = document
        .resets
        .iter()
        .map(|reset| (reset.id, key(reset)))
        .collect();
    document
        .resets
        .iter()
        .map(|reset| {
            let mut value = serde_json::to_value(reset).unwrap_or_default();
            if let Value::Object(fields) = &mut value {
                for private in ["id", "evidence", "clocks"] {
                    fields.remove(private);
                }
                if evidence == Evidence::Live {
                    fields.remove("confidence");
                    without_witness(fields.get_mut("cause"));
                }
                wordless(fields.get_mut("absent_at"));
                let root = reset.root.map(|root| keys.get(&root).cloned());
                fields.insert("root".to_owned(), serde_json::json!(root));
            }
            (key(reset), value)
        })
        .collect()
}

/// Only a kernel that bears witness tells a closed port from a port that the host's own packet filter rejects.
fn without_witness(cause: Option<&mut Value>) {
    if let Some(cause) = cause
        && *cause == "host_firewall_reject"
    {
        *cause = "closed_port".into();
    }
}

/// Leaves out why an absence attests nothing.
fn wordless(absences: Option<&mut Value>) {
    for absence in absences.and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(fields) = absence.as_object_mut() {
            fields.remove("why");
        }
    }
}

/// Every field of every reset in which two documents differ.
pub fn differences(one: &Document, other: &Document, evidence: Evidence) -> Vec<String> {
    let (one, other) = (said(one, evidence), said(other, evidence));
    let mut found = Vec::new();
    for (key, value) in &one {
        match other.get(key) {
            None => found.push(format!("only the first has {key}")),
            Some(theirs) => found.extend(
                fields_that_differ(value, theirs)
                    .into_iter()
                    .map(|difference| format!("{key}: {difference}")),
            ),
        }
    }
    found.extend(
        other
            .keys()
            .filter(|key| !one.contains_key(*key))
            .map(|key| format!("only the second has {key}")),
    );
    found
}

fn fields_that_differ(one: &Value, other: &Value) -> Vec<String> {
    let (Value::Object(one), Value::Object(other)) = (one, other) else {
        return Vec::new();
    };
    one.iter()
        .map(|(name, value)| (name, value, other.get(name).unwrap_or(&Value::Null)))
        .chain(
            other
                .iter()
                .filter(|(name, _)| !one.contains_key(*name))
                .map(|(name, value)| (name, &Value::Null, value)),
        )
        .filter(|(_, mine, theirs)| mine != theirs)
        .map(|(name, mine, theirs)| format!("{name} is {mine} and {theirs}"))
        .collect()
}
