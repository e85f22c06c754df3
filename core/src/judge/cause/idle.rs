//! Boxes that forget a silent connection (`core/data/idle_timeouts.toml`).

use std::sync::LazyLock;

use serde::Deserialize;

use crate::judge::library::{self, LibraryError};
use crate::time::SECOND;

const FILE: &str = "idle_timeouts.toml";

static TIMEOUTS: LazyLock<Vec<Timeout>> = LazyLock::new(|| {
    parse(include_str!("../../../data/idle_timeouts.toml"))
        .expect("the shipped library parses, as a test holds")
});

/// How a product treats a connection on which nothing passes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Timeout {
    name: String,
    seconds: Span,
    on: Occasion,
    resets: Resets,
    default: bool,
    source: String,
    note: String,
}

/// What makes the box send its RST.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Occasion {
    /// The first segment after the silence.
    Segment,
    /// The end of the time itself.
    Expiry,
}

/// Whom it resets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Resets {
    Sender,
    Both,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(untagged)]
enum Span {
    Exactly(u32),
    Between([u32; 2]),
}

impl Span {
    /// Nanoseconds.
    fn bounds(self) -> (i64, i64) {
        let (least, most) = match self {
            Self::Exactly(seconds) => (seconds, seconds),
            Self::Between([least, most]) => (least, most),
        };
        (i64::from(least) * SECOND, i64::from(most) * SECOND)
    }
}

fn parse(text: &str) -> Result<Vec<Timeout>, LibraryError> {
    let all: Vec<Timeout> = library::entries(FILE, ("timeout", "name"), text)?;
    for one in &all {
        let (least, most) = one.seconds.bounds();
        if least == 0 || most < least {
            return Err(LibraryError::Field {
                file: FILE,
                entry: one.name.clone(),
                field: "seconds",
                problem: "a time above zero, or [least, most], is wanted".to_owned(),
            });
        }
    }
    Ok(all)
}

/// A silence as a reset shows it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Silence {
    /// Nanoseconds.
    pub(super) lasted: i64,
    pub(super) ended_by: Occasion,
    pub(super) resets: Resets,
}

/// Clocks of boxes sweep, and their counting starts a moment off.
const EARLY: i64 = SECOND;

impl Timeout {
    /// How far from the timeout a silence ended, in parts of it; `None` where it does not fit. A segment may
    /// come some time after a box has forgotten; an expiry is punctual.
    fn distance(&self, silence: Silence) -> Option<f64> {
        let (least, most) = self.seconds.bounds();
        let late = match silence.ended_by {
            Occasion::Segment => most / 10 + 5 * SECOND,
            Occasion::Expiry => most / 50 + 5 * SECOND,
        };
        let fits = self.on == silence.ended_by
            && (self.resets == silence.resets || silence.resets == Resets::Sender)
            && silence.lasted >= least - EARLY
            && silence.lasted <= most + late;
        let off = (silence.lasted - silence.lasted.clamp(least, most)).abs();
        fits.then(|| off as f64 / most as f64)
    }
}

/// The product whose timeout fits a silence best, one that resets without being told to first.
pub(super) fn best(silence: Silence) -> Option<&'static Timeout> {
    TIMEOUTS
        .iter()
        .filter_map(|timeout| Some((timeout, timeout.distance(silence)?)))
        .min_by(|(a, off_a), (b, off_b)| {
            (!a.default, off_a)
                .partial_cmp(&(!b.default, off_b))
                .unwrap_or(std::cmp::Ordering::Equal)
        })
        .map(|(timeout, _)| timeout)
}

impl Timeout {
    /// What the evidence says of it, as the end of a sentence.
    pub(super) fn told(&self) -> String {
        let (least, most) = self.seconds.bounds();
        let seconds = if least == most {
            format!("{} s", least / SECOND)
        } else {
            format!("{} to {} s", least / SECOND, most / SECOND)
        };
        let silent = if self.default {
            ""
        } else {
            ", which forgets silently unless set to reset"
        };
        format!(
            "consistent with {} ({seconds}{silent}; {}; {})",
            self.name, self.note, self.source
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn silence(seconds: i64, ended_by: Occasion, resets: Resets) -> Silence {
        Silence {
            lasted: seconds * SECOND,
            ended_by,
            resets,
        }
    }

    #[test]
    fn the_shipped_library_parses_and_every_entry_has_a_source() {
        let all = parse(include_str!("../../../data/idle_timeouts.toml")).unwrap();
        assert!(all.iter().all(|one| one.source.starts_with("http")));
    }

    #[test]
    fn every_entry_fits_a_silence_of_its_own_length_and_none_of_half() {
        for one in TIMEOUTS.iter() {
            let (least, _) = one.seconds.bounds();
            let fitting = |lasted| Silence {
                lasted,
                ended_by: one.on,
                resets: one.resets,
            };
            assert!(one.distance(fitting(least + SECOND)).is_some(), "{one:?}");
            assert!(one.distance(fitting(least / 2)).is_none(), "{one:?}");
        }
    }

    #[test]
    fn the_best_match_is_the_nearest_that_resets_the_same_sides() {
        let sent = |seconds| best(silence(seconds, Occasion::Segment, Resets::Sender));
        assert_eq!(sent(351).unwrap().name, "AWS NAT gateway");
        assert_eq!(sent(242).unwrap().name, "Azure NAT Gateway");
        assert!(sent(100).is_none());
        let expired = |seconds| best(silence(seconds, Occasion::Expiry, Resets::Both));
        assert!(expired(240).unwrap().name.starts_with("Azure Firewall"));
        assert!(expired(350).is_none(), "no box resets unasked after 350 s");
    }

    #[test]
    fn a_timeout_of_nothing_is_refused_by_file_entry_and_field() {
        let text = "[[timeout]]\nname = 'x'\nseconds = 0\non = 'segment'\nresets = 'sender'\n\
                    default = true\nsource = 'y'\nnote = ''";
        let error = parse(text).unwrap_err().to_string();
        assert!(
            error.starts_with("idle_timeouts.toml, x, seconds: "),
            "{error}"
        );
    }
}
