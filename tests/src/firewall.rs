//! iptables rules that last as long as their value.

use anyhow::{Context, Result};

use crate::lab::Family;
use crate::namespace::Namespace;

/// One rule in one namespace, removed when dropped.
#[must_use = "the rule is removed when this value is dropped"]
#[derive(Debug)]
pub struct Rule<'lab> {
    namespace: &'lab Namespace,
    program: &'static str,
    specification: Vec<String>,
}

impl<'lab> Rule<'lab> {
    /// Appends a rule, written as after `iptables -A`.
    pub fn add(namespace: &'lab Namespace, family: Family, rule: &str) -> Result<Self> {
        let rule = Self {
            namespace,
            program: match family {
                Family::V4 => "iptables",
                Family::V6 => "ip6tables",
            },
            specification: rule.split_whitespace().map(str::to_owned).collect(),
        };
        rule.change("-A")?;
        Ok(rule)
    }

    fn change(&self, how: &str) -> Result<()> {
        let output = self
            .namespace
            .command(self.program)
            .args(["-w", how])
            .args(&self.specification)
            .output()
            .with_context(|| format!("starting {}", self.program))?;
        anyhow::ensure!(
            output.status.success(),
            "{} {how} {}: {}",
            self.program,
            self.specification.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(())
    }
}

impl Drop for Rule<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.change("-D") {
            eprintln!("parallax-lab: {error:#}");
        }
    }
}
