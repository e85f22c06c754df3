//! The ledger: what the kernel witness said, kept until the collector has it in durable storage.

use std::collections::VecDeque;

use parallax_core::testimony::Watch;
use parallax_proto::testimony::{STATEMENTS_MAX, Told};

use crate::witness::Report;

/// Statements kept while the collector is away.
const KEPT_MAX: usize = 1 << 16;
/// Messages kept; a span that finds no room is one that was not listened to.
const MESSAGES_MAX: usize = 8192;
const WATCHES_A_MESSAGE: usize = 512;

#[derive(Debug, Default)]
pub(super) struct Ledger {
    kept: VecDeque<Told>,
    /// How many of them went over this connection.
    sent: usize,
    /// How many ever went: those are not changed any more.
    ever_sent: usize,
    next_number: u64,
    next_statement: u64,
    /// Statements that found no room and have spoilt no span yet.
    owed: u64,
}

impl Ledger {
    /// Enters what the witness reports; what finds no room spoils the report's span.
    pub fn enter(&mut self, report: Report) {
        let Report {
            mut statements,
            watch,
            kernel,
        } = report;
        let kept: usize = self.kept.iter().map(|told| told.statements.len()).sum();
        let room = KEPT_MAX.saturating_sub(kept).min(STATEMENTS_MAX);
        self.owed += statements.len().saturating_sub(room) as u64;
        statements.truncate(room);
        if statements.is_empty() && watch.is_none() {
            return;
        }
        let fits = |told: &Told| {
            told.statements.len() + statements.len() <= STATEMENTS_MAX
                && told.watches.len() < WATCHES_A_MESSAGE
        };
        let may_grow = self.kept.len() > self.ever_sent && self.kept.back().is_some_and(fits);
        if !may_grow {
            if self.kept.len() >= MESSAGES_MAX {
                self.owed += statements.len() as u64;
                return;
            }
            self.kept.push_back(Told {
                number: self.next_number,
                first_statement: self.next_statement,
                statements: Vec::new(),
                watches: Vec::new(),
                kernel: kernel.to_string(),
            });
            self.next_number += 1;
        }
        let Some(open) = self.kept.back_mut() else {
            return;
        };
        self.next_statement += statements.len() as u64;
        open.statements.append(&mut statements);
        let watch = watch.map(|watch| Watch {
            lost: watch.lost.saturating_add(std::mem::take(&mut self.owed)),
            ..watch
        });
        match (watch, open.watches.last_mut()) {
            (Some(watch), Some(known)) if known.from == watch.from => {
                let lost = known.lost.max(watch.lost);
                *known = Watch { lost, ..watch };
            }
            (Some(watch), _) => open.watches.push(watch),
            (None, _) => {}
        }
    }

    pub fn has_unsent(&self) -> bool {
        self.sent < self.kept.len()
    }

    /// What goes next over this connection.
    pub fn take_next(&mut self) -> Option<Told> {
        let told = self.kept.get(self.sent)?.clone();
        self.sent += 1;
        self.ever_sent = self.ever_sent.max(self.sent);
        Some(told)
    }

    /// The collector has everything up to a message.
    pub fn stored(&mut self, number: u64) {
        while self.sent > 0 && self.kept.front().is_some_and(|told| told.number <= number) {
            self.kept.pop_front();
            self.sent -= 1;
            self.ever_sent -= 1;
        }
    }

    /// A new connection: nothing went over it yet.
    pub fn send_again(&mut self) {
        self.sent = 0;
    }
}

#[cfg(test)]
mod tests {
    use parallax_core::testimony::{Act, Oath, Statement, TapPlace};
    use parallax_core::{CaptureTime, Endpoint, FourTuple};

    use super::*;

    fn report(statements: usize, from: i64, until: i64) -> Report {
        let end = |port| Endpoint::new("192.0.2.1".parse().unwrap(), port);
        let statement = Statement {
            time: CaptureTime::from_nanos(until),
            error: 0,
            tuple: FourTuple::new(end(1), end(2)),
            act: Act::Accepted,
        };
        Report {
            statements: vec![statement; statements],
            watch: Some(Watch {
                from: CaptureTime::from_nanos(from),
                until: CaptureTime::from_nanos(until),
                lost: 0,
                oath: Oath::Everything,
                tap: TapPlace::Elsewhere,
            }),
            kernel: "6.18".into(),
        }
    }

    #[test]
    fn what_waits_grows_and_what_went_does_not_change() {
        let mut ledger = Ledger::default();
        ledger.enter(report(1, 0, 10));
        ledger.enter(report(2, 0, 20));
        let first = ledger.take_next().unwrap();
        assert_eq!(
            (first.number, first.statements.len(), first.watches.len()),
            (0, 3, 1)
        );
        ledger.enter(report(1, 0, 30));
        let second = ledger.take_next().unwrap();
        assert_eq!((second.number, second.first_statement), (1, 3));
        ledger.send_again();
        assert_eq!(ledger.take_next(), Some(first));
        assert_eq!(ledger.take_next(), Some(second));
        assert!(!ledger.has_unsent());
    }

    #[test]
    fn what_is_stored_is_forgotten_and_nothing_else() {
        let mut ledger = Ledger::default();
        ledger.enter(report(1, 0, 10));
        ledger.stored(0);
        assert!(ledger.has_unsent(), "it was not even sent");
        ledger.take_next();
        ledger.enter(report(1, 0, 20));
        ledger.stored(0);
        ledger.send_again();
        assert_eq!(ledger.take_next().map(|told| told.number), Some(1));
    }

    #[test]
    fn statements_without_room_spoil_their_span() {
        let mut ledger = Ledger::default();
        for _ in 0..KEPT_MAX / STATEMENTS_MAX {
            ledger.enter(report(STATEMENTS_MAX, 0, 10));
        }
        ledger.enter(report(7, 100, 110));
        let last = std::iter::from_fn(|| ledger.take_next()).last().unwrap();
        let watch = last.watches.last().unwrap();
        assert_eq!((watch.from.nanos(), watch.lost), (100, 7));
    }
}
