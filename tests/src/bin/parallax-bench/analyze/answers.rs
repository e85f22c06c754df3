//! Which vantages saw each reset, by whoever says so; and verdicts against the construction.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use parallax_core::report::{Document, Origin, ResetReport};

use crate::traffic::{Maker, NAMES, Reset, Side};

/// The port of all servers.
const SERVER_PORT: u16 = 443;

/// What tells a reset from all others, whatever its addresses are where it was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    from_server: bool,
    seq: u32,
    ack: Option<u32>,
}

/// For each reset the vantages that saw it, in the order of the path.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Answers(BTreeMap<Key, Vec<String>>);

impl Answers {
    /// # Errors
    /// Two resets look alike: nobody could tell them apart by their numbers.
    pub fn by_construction(resets: &[Reset]) -> Result<Self> {
        let mut answers = Self::default();
        for reset in resets {
            let seen = NAMES.iter().zip(reset.seen);
            let seen = seen.filter(|(_, seen)| *seen);
            answers.add(
                key(reset),
                seen.map(|(name, _)| (*name).to_owned()).collect(),
            )?;
        }
        Ok(answers)
    }

    /// # Errors
    /// A reset is told twice.
    pub fn of_document(document: &Document) -> Result<Self> {
        let mut answers = Self::default();
        for reset in &document.resets {
            answers.add(key_of(reset), reset.seen_at.clone())?;
        }
        Ok(answers)
    }

    /// From lines as the join prints them: 1 if from the server, sequence number, acknowledgement or nothing, names.
    ///
    /// # Errors
    /// A line is none of those.
    pub fn of_lines(lines: &str) -> Result<Self> {
        let mut answers = Self::default();
        for line in lines.lines() {
            let parts: Vec<&str> = line.split('|').collect();
            let [from_server, seq, ack, seen] = parts[..] else {
                anyhow::bail!("{line:?} is no answer");
            };
            let key = Key {
                from_server: from_server == "1",
                seq: seq.parse().with_context(|| format!("in {line:?}"))?,
                ack: match ack {
                    "" => None,
                    ack => Some(ack.parse().with_context(|| format!("in {line:?}"))?),
                },
            };
            answers.add(key, seen.split(',').map(str::to_owned).collect())?;
        }
        Ok(answers)
    }

    fn add(&mut self, key: Key, mut seen: Vec<String>) -> Result<()> {
        seen.sort_unstable();
        ensure!(
            self.0.insert(key, seen).is_none(),
            "two resets with the numbers {key:?}; with another seed there may be none"
        );
        Ok(())
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// What differs from the truth, in words.
    pub fn differences(&self, truth: &Self) -> Vec<String> {
        let mut differences = Vec::new();
        for (key, seen) in &truth.0 {
            match self.0.get(key) {
                Some(said) if said == seen => {}
                said => differences.push(format!("{key:?} is at {seen:?}, said {said:?}")),
            }
        }
        let unknown = self.0.keys().filter(|key| !truth.0.contains_key(key));
        differences.extend(unknown.map(|key| format!("{key:?} is no reset")));
        differences
    }
}

fn key(reset: &Reset) -> Key {
    Key {
        from_server: reset.from == Side::Server,
        seq: reset.seq,
        ack: reset.ack,
    }
}

fn key_of(reset: &ResetReport) -> Key {
    Key {
        from_server: reset.sport == SERVER_PORT,
        seq: reset.seq,
        ack: reset.ack,
    }
}

/// How many verdicts are right.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Verdicts {
    pub right: usize,
    pub undetermined: usize,
    pub wrong: usize,
}

impl Verdicts {
    pub fn of(document: &Document, resets: &[Reset]) -> Self {
        let told: BTreeMap<Key, &ResetReport> = document
            .resets
            .iter()
            .map(|reset| (key_of(reset), reset))
            .collect();
        let mut verdicts = Self::default();
        for reset in resets {
            let Some(report) = told.get(&key(reset)) else {
                continue;
            };
            match report.origin {
                Origin::Undetermined => verdicts.undetermined += 1,
                _ if is_right(report, reset) => verdicts.right += 1,
                _ => verdicts.wrong += 1,
            }
        }
        verdicts
    }
}

/// A place may be wider than that of the box: a vantage there may have lost the packet.
fn is_right(report: &ResetReport, reset: &Reset) -> bool {
    match reset.maker {
        Maker::End => report.origin == Origin::Endpoint,
        Maker::Box(behind) => {
            let (before, after) = match reset.from {
                Side::Client => (behind, behind + 1),
                Side::Server => (behind + 1, behind),
            };
            let place = |name: &Option<String>| {
                let name = name.as_deref()?;
                NAMES.iter().position(|known| *known == name)
            };
            let Some([from, to]) = &report.between else {
                return false;
            };
            let (from, to) = (place(from), place(to));
            let starts = from.is_none_or(|from| match reset.from {
                Side::Client => from <= before,
                Side::Server => from >= before,
            });
            let ends = to.is_none_or(|to| match reset.from {
                Side::Client => to >= after,
                Side::Server => to <= after,
            });
            report.origin == Origin::Middlebox && starts && ends
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESET: Reset = Reset {
        seq: 7,
        ack: None,
        from: Side::Server,
        maker: Maker::Box(0),
        seen: [true, false, false],
    };

    #[test]
    fn lines_of_the_join_are_answers() {
        let truth = Answers::by_construction(&[
            RESET,
            Reset {
                ack: Some(9),
                from: Side::Client,
                seen: [false, true, true],
                ..RESET
            },
        ])
        .unwrap();
        let said = Answers::of_lines("1|7||v1\n0|7|9|v3,v2\n").unwrap();
        assert!(said.differences(&truth).is_empty());
        assert!(Answers::of_lines("1|7\n").is_err());
    }

    #[test]
    fn every_difference_is_told() {
        let truth = Answers::by_construction(&[RESET]).unwrap();
        let other = Answers::of_lines("1|7||v1,v2\n").unwrap();
        assert_eq!(other.differences(&truth).len(), 1);
        let missing_and_invented = Answers::of_lines("1|8||v1\n").unwrap();
        assert_eq!(missing_and_invented.differences(&truth).len(), 2);
    }

    #[test]
    fn resets_that_look_alike_are_refused() {
        assert!(Answers::by_construction(&[RESET, RESET]).is_err());
    }
}
