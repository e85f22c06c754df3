//! One stream: what an agent may say when, and what it is answered.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parallax_core::Selection;
use parallax_proto::packed;
use parallax_proto::v1::agent_message::Message as Said;
use parallax_proto::v1::collector_message::Message as Answer;
use parallax_proto::v1::{
    AgentMessage, Beat as BeatMessage, CollectorMessage, Committed, Hello, Welcome,
};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout, timeout_at};
use tonic::{Status, Streaming};
use tracing::{Span, info, warn};

use super::inquiry::{Inquiry, Memory};
use super::loader::{Item, Progress};
use super::registry::Claim;
use super::{MESSAGE_MAX, Shared, hello, testimony};
use crate::gate::Caller;
use crate::store::{Answered, NewRun, Portion, RegisterError, Registered, Source, StoreError};
use crate::traces;

mod taking;

use taking::Gain;

/// How long an agent may take to say who it is.
const HELLO_PATIENCE: Duration = Duration::from_secs(10);
/// A live agent beats several times a second; after this it is gone.
const LIVE_PATIENCE: Duration = Duration::from_secs(30);

/// Streams that began in this process.
static STREAMS: AtomicU64 = AtomicU64::new(0);

pub(super) type Answers = mpsc::Sender<Result<CollectorMessage, Status>>;

/// Why a conversation is over without a refusal.
enum End {
    Goodbye,
    /// The agent hung up, or no longer listens.
    Gone,
}

/// Holds the conversation; an error is the refusal to send.
pub(super) async fn converse(
    shared: &Shared,
    caller: Option<&Caller>,
    mut incoming: Streaming<AgentMessage>,
    answers: &Answers,
) -> Result<(), Status> {
    let run = hello::check(first(&mut incoming).await?)
        .map_err(|error| Status::invalid_argument(error.to_string()))?;
    let name = run.vantage.name.clone();
    may_write(shared, caller, &name)?;
    let claim = shared
        .registry
        .claim(&name, run.run_id, Instant::now())
        .map_err(|_| busy(&name))?;
    let registered = shared.store.register(&run).await.map_err(not_registered)?;
    let opened = shared
        .store
        .open_stream(registered, run.run_id, shared.collector);
    if !opened.await.map_err(|error| database_away(&error))? {
        return Err(elsewhere(&name));
    }
    info!(vantage = name, run = %run.run_id, committed = registered.committed, "agent connected");
    traces::is_of(&Span::current(), &name, run.run_id);
    let (progress, committed) = watch::channel(Progress::Committed(registered.committed));
    let mut conversation = Conversation {
        shared,
        claim,
        source: run.source,
        registered,
        stream: STREAMS.fetch_add(1, Ordering::Relaxed),
        received: registered.committed,
        beats: VecDeque::new(),
        progress,
        committed,
        told: registered.committed,
        answers: VecDeque::new(),
        inquiry: Inquiry::new(
            (&name, registered.vantage_id),
            memory(&run),
            &shared.questions,
            shared.reference.clone(),
        ),
    };
    let welcome = Answer::Welcome(Welcome {
        committed: registered.committed,
        collector_version: env!("CARGO_PKG_VERSION").to_owned(),
        accepts_packed: true,
        accepts_flow_columns: true,
    });
    let outcome = match send(answers, welcome).await {
        Err(Gone) => Ok(End::Gone),
        Ok(()) => conversation.run(&mut incoming, answers).await,
    };
    let digests = conversation.received - registered.committed;
    Span::current().record("parallax.digests", digests);
    if run.source == Source::File {
        conversation.announce_coverage().await;
    }
    let closed = shared
        .store
        .close_stream(registered, run.run_id, shared.collector);
    if !conversation.claim.replaced.is_cancelled()
        && let Err(error) = closed.await
    {
        warn!("{error}");
    }
    match outcome {
        Ok(End::Goodbye) => info!(vantage = name, "agent said goodbye"),
        Ok(End::Gone) => info!(vantage = name, "agent disconnected"),
        Err(status) => {
            log_refusal(&run, &status);
            return Err(status);
        }
    }
    Ok(())
}

async fn first(incoming: &mut Streaming<AgentMessage>) -> Result<Hello, Status> {
    let Ok(said) = timeout(HELLO_PATIENCE, incoming.message()).await else {
        return Err(Status::deadline_exceeded(
            "no Hello came within ten seconds",
        ));
    };
    match said?.and_then(|said| said.message) {
        Some(Said::Hello(hello)) => Ok(hello),
        _ => Err(Status::invalid_argument(
            "the first message must be a Hello",
        )),
    }
}

/// Who has a certificate may write for the vantages that it names.
fn may_write(shared: &Shared, caller: Option<&Caller>, name: &str) -> Result<(), Status> {
    let Some((caller, bearer)) = caller.and_then(|caller| Some((caller, caller.bearer.as_ref()?)))
    else {
        return Ok(());
    };
    if bearer.speaks_for(name) {
        return Ok(());
    }
    let reason = format!(
        "this agent's certificate names {:?}, not the vantage {name:?}; enrol it for that vantage",
        bearer.vantages
    );
    if let Some(audit) = &shared.audit {
        audit.refused(caller.named(), "write for a vantage", name, &reason);
    }
    Err(Status::permission_denied(reason))
}

fn busy(name: &str) -> Status {
    Status::failed_precondition(format!(
        "another agent is connected as vantage \"{name}\"; stop it, or give this one another name with --vantage"
    ))
}

/// The other collector, or its agent, may be dead already: the agent tries again.
fn elsewhere(name: &str) -> Status {
    Status::unavailable(format!(
        "another agent is connected as vantage \"{name}\" to another collector; if it lives, stop it, or give this one another name with --vantage"
    ))
}

fn not_registered(error: RegisterError) -> Status {
    match error {
        RegisterError::OtherVantage { .. } => Status::invalid_argument(error.to_string()),
        RegisterError::Store(error) => database_away(&error),
    }
}

pub(super) fn database_away(error: &StoreError) -> Status {
    warn!("{error}");
    Status::unavailable("the collector's database does not take digests now; try again later")
}

fn log_refusal(run: &NewRun, status: &Status) {
    warn!(
        vantage = run.vantage.name,
        code = ?status.code(),
        "stream ended: {}",
        status.message()
    );
}

/// Who ships everything has nothing to recall; a file's reader has no memory.
fn memory(run: &NewRun) -> Memory {
    match (run.source, run.selection) {
        (Source::Live, Selection::Context | Selection::Sampled(_)) => Memory::Asked,
        (Source::Live, Selection::All) | (Source::File, _) => Memory::LeftAlone,
    }
}

fn unpacked(octets: &[u8]) -> Result<Option<Said>, Status> {
    let message = packed::unpack(octets, MESSAGE_MAX)
        .map_err(|error| Status::invalid_argument(error.to_string()))?;
    Ok(message.message)
}

/// The agent no longer listens.
pub(super) struct Gone;

pub(super) async fn send(answers: &Answers, answer: Answer) -> Result<(), Gone> {
    let message = CollectorMessage {
        message: Some(answer),
    };
    answers.send(Ok(message)).await.map_err(|_| Gone)
}

struct Conversation<'a> {
    shared: &'a Shared,
    claim: Claim,
    source: Source,
    registered: Registered,
    /// Its number among this process's streams.
    stream: u64,
    /// Number of the next digest that may come.
    received: u64,
    /// Beats whose digests have not all come yet.
    beats: VecDeque<BeatMessage>,
    progress: watch::Sender<Progress>,
    committed: watch::Receiver<Progress>,
    /// The watermark that the agent was told last.
    told: u64,
    /// Answers from the agent's memory whose digests have not all come yet.
    answers: VecDeque<(u64, Answered)>,
    inquiry: Inquiry,
}

impl Conversation<'_> {
    async fn run(
        &mut self,
        incoming: &mut Streaming<AgentMessage>,
        answers: &Answers,
    ) -> Result<End, Status> {
        let mut heard_at = Instant::now();
        loop {
            self.claim.waits(Some(heard_at));
            let said = tokio::select! {
                biased;
                () = self.shared.stop.cancelled() => {
                    return Err(Status::unavailable("the collector is stopping"));
                }
                () = self.claim.replaced.cancelled() => {
                    return Err(Status::aborted("a newer stream of this vantage took over"));
                }
                changed = self.committed.changed() => {
                    if changed.is_err() || self.tell(answers).await?.is_err() {
                        return Ok(End::Gone);
                    }
                    continue;
                }
                unasked = self.inquiry.next(), if self.source == Source::Live => {
                    if send(answers, unasked).await.is_err() {
                        return Ok(End::Gone);
                    }
                    continue;
                }
                said = next(incoming, self.source, heard_at) => said?,
            };
            self.claim.waits(None);
            let Some(said) = said else {
                return Ok(End::Gone);
            };
            let said = match said.message {
                Some(Said::Packed(octets)) => unpacked(&octets)?,
                said => said,
            };
            match said {
                Some(Said::Batch(batch)) => self.take_batch(batch).await?,
                Some(Said::Beat(beat)) => self.take_beat(beat).await?,
                Some(Said::Loss(loss)) => self.take_loss(loss).await?,
                Some(Said::Skip(skip)) => self.take_skip(&skip).await?,
                Some(Said::RecallAnswer(answer)) => self.take_answer(&answer).await?,
                Some(Said::SelectionChange(change)) => self.take_change(&change).await?,
                Some(Said::ClockAnswer(stamps)) => self.take_stamps(&stamps),
                Some(Said::Testimony(told)) => {
                    if testimony::take(self.shared, self.registered, told, answers)
                        .await?
                        .is_err()
                    {
                        return Ok(End::Gone);
                    }
                }
                Some(Said::Goodbye(_)) => return self.say_goodbye(answers).await,
                Some(Said::Hello(_)) => {
                    return Err(Status::invalid_argument("a second Hello on one stream"));
                }
                Some(Said::Packed(_)) | None => {
                    return Err(Status::invalid_argument(
                        "a message of a kind that this collector does not know; use agents of its version",
                    ));
                }
            }
            heard_at = Instant::now();
        }
    }

    /// Answers with the watermark as it stands.
    async fn tell(&mut self, answers: &Answers) -> Result<Result<(), Gone>, Status> {
        let progress = self.committed.borrow_and_update().clone();
        let committed = match progress {
            Progress::Committed(committed) | Progress::Finished(committed) => committed,
            Progress::Failed(status) => return Err(status),
        };
        if committed <= self.told {
            return Ok(Ok(()));
        }
        self.told = committed;
        Ok(send(answers, Answer::Committed(Committed { committed })).await)
    }

    async fn hand_over(&self, first_number: u64, gain: Gain) -> Result<(), Status> {
        let item = Item {
            portion: Portion {
                run: self.registered,
                stream: self.stream,
                first_number,
                digests: gain.digests,
                beats: gain.beats,
                losses: gain.losses,
                skipped_to: gain.skipped_to,
                asides: gain.asides,
                finished: gain.finished,
            },
            source: self.source,
            progress: self.progress.clone(),
        };
        self.shared.loader.take(item).await
    }

    /// Commits what is held, answers for the last time.
    async fn say_goodbye(&mut self, answers: &Answers) -> Result<End, Status> {
        if let Some(beat) = self.beats.front() {
            return Err(Status::invalid_argument(format!(
                "goodbye, but a beat speaks of digests up to {} and only those below {} came",
                beat.next_number, self.received
            )));
        }
        let gain = Gain {
            finished: true,
            ..Gain::default()
        };
        self.hand_over(self.received, gain).await?;
        loop {
            let progress = self.committed.borrow_and_update().clone();
            match progress {
                Progress::Failed(status) => return Err(status),
                Progress::Finished(committed) => {
                    // The last answer is sent even if it says nothing new: the agent waits for it.
                    let last = Answer::Committed(Committed { committed });
                    let _ = send(answers, last).await;
                    return Ok(End::Goodbye);
                }
                Progress::Committed(_) => {}
            }
            if self.committed.changed().await.is_err() {
                return Ok(End::Gone);
            }
        }
    }

    /// A file was read: its coverage speaks about resets that are judged already.
    async fn announce_coverage(&self) {
        match self.shared.store.span_of_run(self.registered.id).await {
            Ok(Some((from, until))) => self.shared.court.watched_file(from, until),
            Ok(None) => {}
            Err(error) => warn!("resets within a file's coverage were not judged again: {error}"),
        }
    }
}

async fn next(
    incoming: &mut Streaming<AgentMessage>,
    source: Source,
    heard_at: Instant,
) -> Result<Option<AgentMessage>, Status> {
    let message = incoming.message();
    let said = match source {
        // A file's reader may wait for its input.
        Source::File => message.await,
        Source::Live => timeout_at(heard_at + LIVE_PATIENCE, message)
            .await
            .map_err(|_| Status::unavailable("nothing was heard for 30 seconds"))?,
    };
    // A connection that breaks is no refusal.
    Ok(said.unwrap_or_default())
}
