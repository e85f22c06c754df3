//! What agents say beside digests, beats and losses, checked.

use parallax_core::{CaptureTime, OneIn, Selection};
use parallax_proto::batch::{self, BatchError};
use parallax_proto::v1::{RecallAnswer, RecalledFlow, SegmentSelection, SelectionChange};
use thiserror::Error;

use crate::store::{Answered, Change, Held};

/// The most flows of one answer: those that were asked for, and those that an agent finds.
const FLOWS_MAX: usize = 512;

/// Why an answer or a change is refused.
#[derive(Debug, PartialEq, Eq, Error)]
pub(super) enum AsideError {
    #[error("an answer to question {0}, which no collector asked")]
    Question(u64),
    #[error("an answer brings digests {first} to {next}, in the wrong order or beyond all numbers")]
    Numbers { first: u64, next: u64 },
    #[error("an answer's span ends at {until} before it begins at {from}")]
    Span { from: i64, until: i64 },
    #[error("an answer is complete without a span")]
    Complete,
    #[error("an answer speaks of {0} flows, more than {FLOWS_MAX}")]
    ManyFlows(usize),
    #[error("an answer speaks of a flow that is none: {0}")]
    Flow(#[from] BatchError),
    #[error("an answer speaks of a flow without naming it")]
    NoFlow,
    #[error("a change to a selection of segments that is not said")]
    Selection,
}

pub(super) fn answer(said: &RecallAnswer) -> Result<Answered, AsideError> {
    let question = i64::try_from(said.id).map_err(|_| AsideError::Question(said.id))?;
    let numbers = || AsideError::Numbers {
        first: said.first_number,
        next: said.next_number,
    };
    let first = i64::try_from(said.first_number).map_err(|_| numbers())?;
    let next = i64::try_from(said.next_number).map_err(|_| numbers())?;
    if first > next {
        return Err(numbers());
    }
    let span = (said.until != 0).then_some((said.from, said.until));
    if let Some((from, until)) = span.filter(|(from, until)| from > until) {
        return Err(AsideError::Span { from, until });
    }
    if said.complete && span.is_none() {
        return Err(AsideError::Complete);
    }
    if said.flows.len() > FLOWS_MAX {
        return Err(AsideError::ManyFlows(said.flows.len()));
    }
    let at = CaptureTime::from_nanos;
    Ok(Answered {
        question,
        numbers: (first, next),
        span: span.map(|(from, until)| (at(from), at(until))),
        complete: said.complete,
        capturing_since: at(said.capturing_since),
        horizon: at(said.horizon),
        dropped: said.dropped,
        flows: said
            .flows
            .iter()
            .enumerate()
            .map(|(index, flow)| held(index, flow))
            .collect::<Result<_, _>>()?,
    })
}

fn held(index: usize, said: &RecalledFlow) -> Result<Held, AsideError> {
    let tuple = said.flow.as_ref().ok_or(AsideError::NoFlow)?;
    let at = CaptureTime::from_nanos;
    Ok(Held {
        flow: batch::flow(index, tuple)?,
        count: said.held,
        seen: (said.held > 0).then_some((at(said.first_seen), at(said.last_seen))),
    })
}

pub(super) fn change(said: &SelectionChange) -> Result<Change, AsideError> {
    Ok(Change {
        from: CaptureTime::from_nanos(said.from),
        selection: selection(said.selection(), said.sample_one_in).ok_or(AsideError::Selection)?,
    })
}

/// A selection of segments from a message; `None`: it says none.
pub(super) fn selection(said: SegmentSelection, sample_one_in: u32) -> Option<Selection> {
    match said {
        SegmentSelection::All => Some(Selection::All),
        SegmentSelection::Context => Some(Selection::Context),
        SegmentSelection::Sampled => OneIn::new(sample_one_in).map(Selection::Sampled),
        SegmentSelection::Unspecified => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said() -> RecallAnswer {
        RecallAnswer {
            id: 1,
            first_number: 3,
            next_number: 5,
            from: 10,
            until: 20,
            complete: true,
            flows: vec![RecalledFlow {
                flow: Some(parallax_proto::v1::FlowTuple {
                    low_addr: vec![192, 0, 2, 1],
                    low_port: 1,
                    high_addr: vec![192, 0, 2, 2],
                    high_port: 2,
                }),
                held: 7,
                first_seen: 11,
                last_seen: 12,
            }],
            ..RecallAnswer::default()
        }
    }

    #[test]
    fn an_answer_says_what_it_speaks_of() {
        let answered = answer(&said()).unwrap();
        assert_eq!(answered.numbers, (3, 5));
        assert!(answered.complete && answered.span.is_some());
        assert_eq!(answered.flows[0].count, 7);
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        let refuse = |change: fn(&mut RecallAnswer)| {
            let mut said = said();
            change(&mut said);
            answer(&said).unwrap_err()
        };
        assert_eq!(refuse(|a| a.id = u64::MAX), AsideError::Question(u64::MAX));
        let numbers = AsideError::Numbers { first: 6, next: 5 };
        assert_eq!(refuse(|a| a.first_number = 6), numbers);
        let span = AsideError::Span { from: 10, until: 9 };
        assert_eq!(refuse(|a| a.until = 9), span);
        assert_eq!(refuse(|a| a.until = 0), AsideError::Complete);
        assert_eq!(refuse(|a| a.flows[0].flow = None), AsideError::NoFlow);
        let many = refuse(|a| a.flows = vec![RecalledFlow::default(); 513]);
        assert_eq!(many, AsideError::ManyFlows(513));
        let unsaid = change(&SelectionChange::default()).unwrap_err();
        assert_eq!(unsaid, AsideError::Selection);
    }
}
