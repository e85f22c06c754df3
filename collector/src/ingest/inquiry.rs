//! What a conversation says unasked: questions to the agent's memory, probes of its clock, the policy.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parallax_core::{CaptureTime, ExchangedClock, Selection};
use parallax_proto::v1::collector_message::Message as Answer;
use parallax_proto::v1::{ClockAnswer, ClockProbe, Policy, Recall, SegmentSelection};
use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, sleep_until};

use crate::clock;
use crate::exchange::{Exchange, Offset, Stamps};
use crate::recall::Questions;
use crate::store::{Policies, Question};

/// The first probes follow each other soon, so that the clock is known within a second.
const FIRST_PROBES: u32 = 4;
const SOON: Duration = Duration::from_millis(250);
const LATER: Duration = Duration::from_secs(4);

/// Whether the agent's memory is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Memory {
    Asked,
    /// It ships everything, or has none.
    LeftAlone,
}

/// One conversation's part.
pub(super) struct Inquiry {
    vantage: String,
    vantage_id: i32,
    memory: Memory,
    /// Open when the conversation began.
    open: VecDeque<Arc<Question>>,
    coming: broadcast::Receiver<Arc<Question>>,
    questions: Questions,
    policies: watch::Receiver<Policies>,
    told: Option<Selection>,
    reference: watch::Receiver<Option<Offset>>,
    exchange: Exchange,
    probes: u32,
    probe_at: Instant,
}

impl Inquiry {
    pub fn new(
        (vantage, vantage_id): (&str, i32),
        memory: Memory,
        questions: &Questions,
        reference: watch::Receiver<Option<Offset>>,
    ) -> Self {
        let (open, coming) = questions.draw();
        let mut policies = questions.policies();
        // What is set already is told like a change.
        policies.mark_changed();
        Self {
            vantage: vantage.to_owned(),
            vantage_id,
            memory,
            open,
            coming,
            questions: questions.clone(),
            policies,
            told: None,
            reference,
            exchange: Exchange::default(),
            probes: 0,
            probe_at: Instant::now(),
        }
    }

    /// The agent ships something else now.
    pub fn ships(&mut self, selection: Selection) {
        if self.memory == Memory::LeftAlone && selection != Selection::All {
            self.memory = Memory::Asked;
            (self.open, self.coming) = self.questions.draw();
        }
    }

    /// What to say next. Nothing is lost when it is not waited for.
    pub async fn next(&mut self) -> Answer {
        loop {
            if self.memory == Memory::Asked
                && self.probes >= 2
                && let Some(question) = self.open.pop_front()
            {
                return Answer::Recall(self.by_the_agents_clock(&question));
            }
            tokio::select! {
                biased;
                Ok(()) = self.policies.changed() => {
                    if let Some(policy) = self.changed_policy() {
                        return policy;
                    }
                }
                () = sleep_until(self.probe_at) => {
                    self.probe_at = Instant::now() + if self.probes < FIRST_PROBES { SOON } else { LATER };
                    self.probes += 1;
                    return Answer::ClockProbe(ClockProbe { sent: clock::wall().nanos() });
                }
                question = self.coming.recv(), if self.memory == Memory::Asked => match question {
                    Ok(question) => self.open.push_back(question),
                    // What was missed is open still.
                    Err(broadcast::error::RecvError::Lagged(_)) => {
                        (self.open, self.coming) = self.questions.draw();
                    }
                    Err(broadcast::error::RecvError::Closed) => self.memory = Memory::LeftAlone,
                },
            }
        }
    }

    fn changed_policy(&mut self) -> Option<Answer> {
        let wanted = self.policies.borrow_and_update().of(&self.vantage);
        if wanted == self.told {
            return None;
        }
        self.told = wanted;
        let (selection, sample_one_in) = match wanted {
            None => (SegmentSelection::Unspecified, 0),
            Some(Selection::All) => (SegmentSelection::All, 0),
            Some(Selection::Context) => (SegmentSelection::Context, 0),
            Some(Selection::Sampled(one_in)) => (SegmentSelection::Sampled, one_in.get()),
        };
        Some(Answer::Policy(Policy {
            selection: selection.into(),
            sample_one_in,
        }))
    }

    /// The span of a question is by the database's clock; the agent's may be another, and not quite known.
    fn by_the_agents_clock(&self, question: &Question) -> Recall {
        let recall = &question.recall;
        let reference = self
            .reference
            .borrow()
            .unwrap_or(Offset { nanos: 0, error: 0 });
        let own = self
            .exchange
            .offset(clock::wall())
            .unwrap_or(Offset { nanos: 0, error: 0 });
        let offset = own.nanos.saturating_add(reference.nanos);
        let error = own.error.saturating_add(reference.error);
        let shifted = |nanos: i64, error: i64| nanos.saturating_add(offset).saturating_add(error);
        Recall {
            from: shifted(recall.from, error.saturating_neg()),
            until: shifted(recall.until, error),
            quiet: question
                .vantages
                .as_ref()
                .is_some_and(|vantages| !vantages.contains(&self.vantage_id)),
            ..recall.clone()
        }
    }

    /// The agent answered a probe; what is to be noted of its clock.
    pub fn heard(&mut self, answer: &ClockAnswer, now: CaptureTime) -> Option<ExchangedClock> {
        let stamps = Stamps {
            asked: answer.probe_sent,
            received: answer.received,
            sent: answer.sent,
            heard: now.nanos(),
        };
        let reference = *self.reference.borrow();
        self.exchange.heard(stamps, reference?)
    }
}
