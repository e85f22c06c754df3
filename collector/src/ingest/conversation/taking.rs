//! What each kind of message brings.

use std::sync::Arc;

use parallax_core::{Digest, LossRecord};
use parallax_proto::batch;
use parallax_proto::v1::{
    Beat as BeatMessage, ClockAnswer, DigestBatch, Loss, RecallAnswer, SelectionChange, Skip,
};
use tonic::Status;
use tracing::warn;

use super::Conversation;
use crate::clock;
use crate::ingest::aside::{self, AsideError};
use crate::ingest::{beat, loss};
use crate::store::{Asides, Beat, Octets};

/// Beats that may wait for their digests.
const BEATS_WAITING_MAX: usize = 4096;
/// Answers that may wait for their digests.
const ANSWERS_WAITING_MAX: usize = 4096;

/// What one message brings.
#[derive(Default)]
pub(super) struct Gain {
    pub digests: Vec<Digest>,
    pub beats: Vec<Beat>,
    pub losses: Vec<LossRecord>,
    pub skipped_to: u64,
    pub asides: Asides,
    pub finished: bool,
}

impl Conversation<'_> {
    pub(super) async fn take_batch(&mut self, batch: DigestBatch) -> Result<(), Status> {
        let first_number = batch.first_number;
        if first_number > self.received {
            return Err(Status::invalid_argument(format!(
                "digests {} to {} are missing before this batch",
                self.received,
                first_number - 1
            )));
        }
        let decoded = batch::decode(batch).map_err(|error| {
            Status::invalid_argument(format!("batch from digest {first_number} on: {error}"))
        })?;
        let digests: Vec<Digest> = decoded.into_iter().map(|(_, digest)| digest).collect();
        let end = first_number + digests.len() as u64;
        self.received = self.received.max(end);
        let beats = self.due_beats();
        let gain = Gain {
            digests,
            beats,
            ..self.due_asides()
        };
        self.hand_over(first_number, gain).await
    }

    pub(super) async fn take_beat(&mut self, beat: BeatMessage) -> Result<(), Status> {
        beat::check(&beat)?;
        let octets = (beat.observed_octets > 0).then_some(Octets {
            sent: beat.sent_octets,
            observed: beat.observed_octets,
        });
        if self.beats.len() >= BEATS_WAITING_MAX {
            return Err(Status::invalid_argument(
                "too many beats wait for digests that do not come",
            ));
        }
        self.beats.push_back(beat);
        let beats = self.due_beats();
        if beats.is_empty() {
            return Ok(());
        }
        let mut gain = Gain {
            beats,
            ..Gain::default()
        };
        gain.asides.octets = octets;
        self.hand_over(self.received, gain).await
    }

    /// A loss has no digests of its own, so it waits for nothing.
    pub(super) async fn take_loss(&mut self, said: Loss) -> Result<(), Status> {
        let next_number = said.next_number;
        let loss =
            loss::check(said).map_err(|error| Status::invalid_argument(error.to_string()))?;
        if next_number > self.received {
            return Err(Status::invalid_argument(format!(
                "a loss speaks of digests up to {next_number} and only those below {} came",
                self.received
            )));
        }
        let gain = Gain {
            losses: vec![loss],
            ..Gain::default()
        };
        self.hand_over(self.received, gain).await
    }

    pub(super) async fn take_skip(&mut self, skip: &Skip) -> Result<(), Status> {
        let (first, next) = (skip.first_number, skip.next_number);
        if first > self.received || next < first {
            return Err(Status::invalid_argument(format!(
                "digests {first} to {next} are skipped, but {} is due",
                self.received
            )));
        }
        self.received = self.received.max(next);
        let beats = self.due_beats();
        let gain = Gain {
            beats,
            skipped_to: next,
            ..self.due_asides()
        };
        self.hand_over(first, gain).await
    }

    pub(super) async fn take_answer(&mut self, said: &RecallAnswer) -> Result<(), Status> {
        let answer = aside::answer(said).map_err(|error| nonsense(&error))?;
        if self.answers.len() >= ANSWERS_WAITING_MAX {
            return Err(Status::invalid_argument(
                "too many answers wait for digests that do not come",
            ));
        }
        self.answers.push_back((said.next_number, answer));
        let gain = self.due_asides();
        if gain.asides.answers.is_empty() {
            return Ok(());
        }
        self.hand_over(self.received, gain).await
    }

    /// Answers whose digests have all come.
    fn due_asides(&mut self) -> Gain {
        let mut gain = Gain::default();
        while let Some((next_number, _)) = self.answers.front()
            && *next_number <= self.received
        {
            gain.asides
                .answers
                .extend(self.answers.pop_front().map(|(_, answer)| answer));
        }
        gain
    }

    pub(super) async fn take_change(&mut self, said: &SelectionChange) -> Result<(), Status> {
        let change = aside::change(said).map_err(|error| nonsense(&error))?;
        self.inquiry.ships(change.selection);
        let mut gain = Gain::default();
        gain.asides.changes.push(change);
        self.hand_over(self.received, gain).await
    }

    pub(super) fn take_stamps(&mut self, said: &ClockAnswer) {
        let Some(clock) = self.inquiry.heard(said, clock::wall()) else {
            return;
        };
        let (store, run) = (Arc::clone(&self.shared.store), self.registered);
        tokio::spawn(async move {
            if let Err(error) = store.note_clock(run, clock).await {
                warn!("{error}");
            }
        });
    }

    /// The beats whose digests have all come.
    fn due_beats(&mut self) -> Vec<Beat> {
        let mut due = Vec::new();
        while let Some(beat) = self.beats.front() {
            if beat.next_number > self.received {
                break;
            }
            due.extend(self.beats.pop_front().map(beat::counted));
        }
        due
    }
}

fn nonsense(error: &AsideError) -> Status {
    Status::invalid_argument(error.to_string())
}
