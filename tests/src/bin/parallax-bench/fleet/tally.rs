//! When each reset was sent, when its verdict could be read, and whether it was right.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use parallax_core::report::{Document, Origin, ResetReport};

use super::script::{Key, Path, Truth};

/// A reset on its way to its verdict.
#[derive(Debug, Clone, Copy)]
struct Course {
    truth: Truth,
    /// When the first agent handed its digest over.
    sent: Instant,
    /// The first verdict that was told.
    told: Option<Instant>,
    /// The first right one.
    right: Option<Instant>,
}

/// All resets of a run. Agents enter what they send, the watcher what it hears.
#[derive(Debug, Default)]
pub struct Tally(Mutex<HashMap<Key, Course>>);

/// Milliseconds from sending, sorted.
#[derive(Debug, Default)]
pub struct Latencies {
    pub told: Vec<f64>,
    pub right: Vec<f64>,
    /// Resets of which no verdict was heard.
    pub unheard: usize,
}

/// Every reset that was sent, held against what the collector answers in the end.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Held {
    pub sent: usize,
    pub right: usize,
    pub undetermined: usize,
    pub wrong: usize,
    pub missing: usize,
    /// Told, but sent by nobody, or told twice.
    pub surplus: usize,
}

impl Held {
    /// Whether nothing is left to come.
    pub fn is_right(&self) -> bool {
        self.right == self.sent && self.surplus == 0
    }
}

impl Tally {
    /// An agent hands the digest of a reset over.
    pub fn sent(&self, key: Key, truth: Truth, now: Instant) {
        let mut courses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        courses.entry(key).or_insert(Course {
            truth,
            sent: now,
            told: None,
            right: None,
        });
    }

    /// A verdict could be read.
    pub fn heard(&self, report: &ResetReport, now: Instant) {
        let mut courses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(course) = key(report).and_then(|key| courses.get_mut(&key)) else {
            return;
        };
        course.told.get_or_insert(now);
        if is_right(report, course.truth) {
            course.right.get_or_insert(now);
        }
    }

    pub fn latencies(&self) -> Latencies {
        let courses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut latencies = Latencies::default();
        for course in courses.values() {
            let since = |then: Instant| then.duration_since(course.sent).as_secs_f64() * 1e3;
            latencies.told.extend(course.told.map(since));
            latencies.right.extend(course.right.map(since));
            latencies.unheard += usize::from(course.told.is_none());
        }
        latencies.told.sort_by(f64::total_cmp);
        latencies.right.sort_by(f64::total_cmp);
        latencies
    }

    /// Holds the collector's last word against what was sent.
    pub fn hold(&self, document: &Document) -> Held {
        let courses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut told: HashMap<Key, &ResetReport> = HashMap::new();
        let mut held = Held {
            sent: courses.len(),
            ..Held::default()
        };
        for report in &document.resets {
            match key(report) {
                Some(key) if courses.contains_key(&key) && !told.contains_key(&key) => {
                    told.insert(key, report);
                }
                _ => held.surplus += 1,
            }
        }
        for (key, course) in courses.iter() {
            match told.get(key) {
                None => held.missing += 1,
                Some(report) if is_right(report, course.truth) => held.right += 1,
                Some(report) if report.origin == Origin::Undetermined => held.undetermined += 1,
                Some(report) => {
                    eprintln!(
                        "wrong: {:?} of {:?} is told as {:?} between {:?} at {:.2}",
                        course.truth, key, report.origin, report.between, report.confidence
                    );
                    held.wrong += 1;
                }
            }
        }
        held
    }
}

/// All resets go to a client.
fn key(report: &ResetReport) -> Option<Key> {
    let client: IpAddr = report.dst;
    Some(Key {
        path: Path::of_client(client)?,
        port: report.dport,
    })
}

fn is_right(report: &ResetReport, truth: Truth) -> bool {
    let ends_with =
        |name: &Option<String>, end: &str| name.as_ref().is_some_and(|name| name.ends_with(end));
    match truth {
        Truth::Server => report.origin == Origin::Endpoint,
        Truth::Firewall => {
            report.origin == Origin::Middlebox
                && report
                    .between
                    .as_ref()
                    .is_some_and(|[from, to]| ends_with(from, "-fw-out") && ends_with(to, "-fw-in"))
        }
    }
}
