//! What is heard and said beside digests, as messages: questions, answers, stamps of clocks, policies.

use parallax_core::{CaptureTime, Flow, OneIn, Selection};
use parallax_proto::batch;
use parallax_proto::v1::agent_message::Message;
use parallax_proto::v1::{
    AgentMessage, ClockAnswer, Policy, Recall, RecallAnswer, RecalledFlow, SegmentSelection,
    SelectionChange,
};

use super::identity::spoken;
use crate::outbox::{Aside, KeptAnswer, KeptChange};
use crate::recall::{Held, Question, Sought};

/// What a collector asks of the capture thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    Ask(Question),
    /// Ship these segments from now on; `None`: what the agent was started with.
    Select(Option<Selection>),
}

/// Flows that one question may name; a collector asks of fewer.
const FLOWS_MAX: usize = 256;

/// A question, as far as it can be read: an unreadable flow is left out.
pub(super) fn question(recall: &Recall) -> Question {
    let flows = recall.flows.iter().take(FLOWS_MAX).enumerate();
    Question {
        id: recall.id,
        quiet: recall.quiet,
        sought: Sought {
            flows: flows
                .filter_map(|(index, tuple)| batch::flow(index, tuple).ok())
                .collect::<Vec<Flow>>(),
            numbers: recall
                .initial_numbers
                .iter()
                .copied()
                .take(FLOWS_MAX)
                .collect(),
            payload_hashes: recall
                .payload_hashes
                .iter()
                .copied()
                .take(FLOWS_MAX)
                .collect(),
            from: CaptureTime::from_nanos(recall.from),
            until: CaptureTime::from_nanos(recall.until),
        },
    }
}

/// What a policy wants shipped; `None`: what the agent was started with.
pub(super) fn policy(policy: Policy) -> Option<Selection> {
    match policy.selection() {
        SegmentSelection::All => Some(Selection::All),
        SegmentSelection::Context => Some(Selection::Context),
        SegmentSelection::Sampled => OneIn::new(policy.sample_one_in).map(Selection::Sampled),
        SegmentSelection::Unspecified => None,
    }
}

/// A probe that came, to be answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Probe {
    pub probe_sent: i64,
    pub received: CaptureTime,
}

/// The answer to a probe, which leaves now.
pub(super) fn stamps(probe: Probe, now: CaptureTime) -> AgentMessage {
    wrapped(Message::ClockAnswer(ClockAnswer {
        probe_sent: probe.probe_sent,
        received: probe.received.nanos(),
        sent: now.nanos(),
    }))
}

/// The message that says it.
pub(super) fn message(aside: Aside) -> AgentMessage {
    wrapped(match aside {
        Aside::Answer(kept) => Message::RecallAnswer(answer(kept)),
        Aside::Change(kept) => Message::SelectionChange(change(kept)),
    })
}

const fn wrapped(message: Message) -> AgentMessage {
    AgentMessage {
        message: Some(message),
    }
}

fn answer(kept: KeptAnswer) -> RecallAnswer {
    let answer = kept.answer;
    let (from, until) = answer
        .span
        .map_or((0, 0), |(from, until)| (from.nanos(), until.nanos()));
    RecallAnswer {
        id: answer.id,
        first_number: kept.first_number,
        next_number: kept.next_number,
        from,
        until,
        complete: answer.complete,
        capturing_since: answer.capturing_since.nanos(),
        horizon: answer.horizon.nanos(),
        dropped: answer.dropped,
        flows: answer.flows.iter().map(flow).collect(),
        more: answer.more,
    }
}

fn flow(held: &Held) -> RecalledFlow {
    let (first, last) = held
        .seen
        .map_or((0, 0), |(first, last)| (first.nanos(), last.nanos()));
    RecalledFlow {
        flow: Some(batch::flow_tuple(held.flow)),
        held: held.count,
        first_seen: first,
        last_seen: last,
    }
}

fn change(kept: KeptChange) -> SelectionChange {
    let (selection, sample_one_in) = spoken(kept.change.selection);
    SelectionChange {
        from: kept.change.from.nanos(),
        selection: selection.into(),
        sample_one_in,
        next_number: kept.next_number,
    }
}
