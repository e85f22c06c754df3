//! What a `PromQL` query names, read without understanding it.

use std::collections::BTreeSet;

/// Metrics and labels of a query.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Names {
    pub metrics: BTreeSet<String>,
    pub labels: BTreeSet<String>,
}

/// Words whose parentheses hold labels.
const GROUPING: [&str; 5] = ["by", "without", "on", "ignoring", "group_left"];

/// The names in a query: a metric is `up` or begins with `parallax_`; labels stand in braces and after grouping words.
pub fn names(query: &str) -> Names {
    let mut names = Names::default();
    let (mut word, mut quoted, mut in_labels, mut grouping) = (String::new(), None, false, false);
    for character in query.chars().chain([' ']) {
        if let Some(quote) = quoted {
            if character == quote {
                quoted = None;
            }
            continue;
        }
        if character.is_ascii_alphanumeric() || character == '_' {
            word.push(character);
            continue;
        }
        let ended = std::mem::take(&mut word);
        if !ended.is_empty() {
            if in_labels && ended.starts_with(|first: char| first.is_ascii_alphabetic()) {
                names.labels.insert(ended);
                grouping = false;
            } else {
                grouping = GROUPING.contains(&ended.as_str());
                if ended == "up" || ended.starts_with("parallax_") {
                    names.metrics.insert(ended);
                }
            }
        }
        match character {
            '"' | '\'' => quoted = Some(character),
            '{' => in_labels = true,
            '(' if grouping => (in_labels, grouping) = (true, false),
            '(' => grouping = false,
            '}' | ')' => in_labels = false,
            _ => {}
        }
    }
    names
}

/// The queries of a file of rules, each in one line or as an indented block.
pub fn rules(text: &str) -> Vec<String> {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut found = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(query) = line.trim_start().strip_prefix("expr: ") else {
            continue;
        };
        if query != "|" {
            found.push(query.to_owned());
            continue;
        }
        let mut block = String::new();
        while let Some(next) = lines.next_if(|next| indent(next) > indent(line)) {
            block.push_str(next.trim());
            block.push(' ');
        }
        found.push(block.trim_end().to_owned());
    }
    found
}

/// A text as part of a URL's query.
pub fn encoded(text: &str) -> String {
    let octets = text.bytes().map(|octet| match octet {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' | b'.' => char::from(octet).into(),
        _ => format!("%{octet:02X}"),
    });
    octets.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_and_labels_are_told_from_functions_and_texts() {
        let names = names(
            "sum by (from, to) (rate(parallax_a_total{origin=\"middle (box) x\"}[5m])) > 0 or up{job='y'} == 0",
        );
        let set = |words: &[&str]| words.iter().map(ToString::to_string).collect();
        assert_eq!(names.metrics, set(&["parallax_a_total", "up"]));
        assert_eq!(names.labels, set(&["from", "to", "origin", "job"]));
    }

    #[test]
    fn rules_are_read_in_both_forms() {
        let text =
            "- alert: A\n  expr: up == 0\n- alert: B\n  expr: |\n    x\n      or y\n  for: 2m\n";
        assert_eq!(rules(text), ["up == 0", "x or y"]);
    }
}
