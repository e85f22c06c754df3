//! Answers from the memories of several threads.

use std::collections::HashMap;

use parallax_core::Digest;

use crate::recall::{Answer, Held, Recalled};

/// What was asked, and what the threads said to it.
#[derive(Debug)]
struct Asked {
    /// The latest answer of each.
    latest: Vec<Option<Answer>>,
    /// Digests that came and were not passed on.
    digests: Vec<Digest>,
    told: Option<Answer>,
}

#[derive(Debug)]
pub(super) struct Answers {
    threads: usize,
    /// By the question's number: those that not all have answered for the last time.
    asked: HashMap<u64, Asked>,
}

impl Answers {
    pub fn new(threads: usize) -> Self {
        Self {
            threads,
            asked: HashMap::new(),
        }
    }

    /// Takes one thread's answer; gives that of all when all have answered and there is news in it.
    pub fn take(&mut self, thread: usize, recalled: Recalled) -> Option<Recalled> {
        let id = recalled.answer.id;
        let asked = self.asked.entry(id).or_insert_with(|| Asked {
            latest: vec![None; self.threads],
            digests: Vec::new(),
            told: None,
        });
        asked.digests.extend(recalled.digests);
        asked.latest[thread] = Some(recalled.answer);
        let answer = asked.answer()?;
        if asked.told.as_ref() == Some(&answer) && asked.digests.is_empty() {
            return None;
        }
        asked.told = Some(answer.clone());
        let digests = std::mem::take(&mut asked.digests);
        if !answer.more {
            self.asked.remove(&id);
        }
        Some(Recalled { digests, answer })
    }
}

impl Asked {
    /// What all can swear to; none while one has not answered.
    fn answer(&self) -> Option<Answer> {
        let all: Vec<&Answer> = self
            .latest
            .iter()
            .map(Option::as_ref)
            .collect::<Option<_>>()?;
        let (first, others) = all.split_first()?;
        let mut sum = (*first).clone();
        for other in others {
            join(&mut sum, other);
        }
        sum.complete &= sum.span.is_some();
        Some(sum)
    }
}

/// Each holds a part of the segments: together they are whole where each part is.
fn join(sum: &mut Answer, other: &Answer) {
    sum.span = match (sum.span, other.span) {
        (Some(one), Some(two)) => {
            let (from, until) = (one.0.max(two.0), one.1.min(two.1));
            (from <= until).then_some((from, until))
        }
        _ => None,
    };
    sum.complete &= other.complete;
    sum.capturing_since = sum.capturing_since.max(other.capturing_since);
    sum.horizon = sum.horizon.max(other.horizon);
    sum.dropped += other.dropped;
    sum.more |= other.more;
    for held in &other.flows {
        match sum.flows.iter_mut().find(|known| known.flow == held.flow) {
            Some(known) => add(known, held),
            None => sum.flows.push(*held),
        }
    }
}

fn add(known: &mut Held, more: &Held) {
    known.count += more.count;
    known.seen = match (known.seen, more.seen) {
        (Some(one), Some(two)) => Some((one.0.min(two.0), one.1.max(two.1))),
        (one, two) => one.or(two),
    };
}
