//! An agent as the simulation runs it: the real capture side, spool and stream, fed with a story's packets; it dies and
//! starts again as an init system would have it.

use std::path::PathBuf;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use parallax_agent::handover::Handover;
use parallax_agent::memory::{Grace, LEAST_OCTETS, Memory};
use parallax_agent::outbox::Span;
use parallax_agent::recall::{Desk, Ring};
use parallax_agent::spool::{Spool, StateDir};
use parallax_agent::stream::{self, Delivery, Feed, Identity, Pressure, Progress, StreamError};
use parallax_core::decode::{LinkType, RawPacket, UnreadCounts};
use parallax_core::{CaptureTime, Coverage, Digest, Selection, Vantage};
use parallax_proto::v1::CaptureSource;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};
use uuid::Uuid;

use super::Planted;
use super::cable::Exchange;
use super::chance::Chance;
use super::check::Violation;
use super::plan::{Keep, Plan};
use super::traffic::{END, Story};

/// When the simulation begins, by the true clock: nanoseconds.
const EPOCH: i64 = 1_800_000_000_000_000_000;
const BEAT: Duration = Duration::from_secs(1);
/// What the capture side hands over may wait in so many pieces.
const FEED: usize = 64;
/// How long what is left may take to arrive.
const DRAIN: Duration = Duration::from_secs(200);
/// How soon an agent that gave up is started again.
const AGAIN: Duration = Duration::from_secs(2);

/// What happens to an agent.
#[derive(Debug, Clone, Copy)]
pub enum Order {
    /// It is killed, and started again after a time.
    Die(Duration),
}

/// What a run handed over to its stream, written down beside it.
#[derive(Debug, Clone)]
pub struct Log {
    pub run_id: Uuid,
    pub vantage: Vantage,
    pub keep: Keep,
    /// In the order of their numbers.
    pub digests: Vec<Digest>,
    pub spans: Vec<Span>,
    /// Of each piece handed over: how many digests and spans there were with it.
    pieces: Vec<(usize, usize)>,
    /// Digests that the collector was heard to have committed.
    pub acknowledged: u64,
    /// How it ended; `None`: it was killed, or gave up.
    pub ended: Option<Progress>,
    /// Whether the last of the spans may not have reached the stream.
    pub is_vague: bool,
}

impl Log {
    fn note(&mut self, feed: &Feed) {
        match feed {
            Feed::Digests(digests) => self.digests.extend(digests),
            Feed::Recalled(recalled) => self.digests.extend(&recalled.digests),
            Feed::Watched(span) => self.spans.push(*span),
            Feed::Lost(_) | Feed::Changed(_) | Feed::Witnessed(_) => {}
        }
        self.pieces.push((self.digests.len(), self.spans.len()));
    }

    /// So many of the last pieces never reached the stream.
    fn forget(&mut self, pieces: usize) {
        self.pieces.truncate(self.pieces.len() - pieces);
        let (digests, spans) = self.pieces.last().copied().unwrap_or_default();
        self.digests.truncate(digests);
        self.spans.truncate(spans);
    }
}

pub struct Agent {
    index: usize,
    plan: Plan,
    planted: Option<Planted>,
    story: Arc<Story>,
    exchange: Exchange,
    state: PathBuf,
    began: Instant,
    chance: Chance,
    starts: u64,
}

/// A process.
struct Process {
    capture: JoinHandle<()>,
    delivery: JoinHandle<Result<Progress, StreamError>>,
    feed: mpsc::WeakSender<Feed>,
    log: Arc<Mutex<Log>>,
    progress: watch::Receiver<Progress>,
}

impl Agent {
    pub fn new(
        (index, plan, planted): (usize, &Plan, Option<Planted>),
        story: &Arc<Story>,
        exchange: &Exchange,
        (state, began): (PathBuf, Instant),
        chance: Chance,
    ) -> Self {
        Self {
            index,
            plan: plan.clone(),
            planted,
            story: Arc::clone(story),
            exchange: exchange.clone(),
            state,
            began,
            chance,
            starts: 0,
        }
    }

    /// Lives until everything is said; what each run handed over, and what went wrong.
    pub async fn live(
        mut self,
        mut orders: mpsc::UnboundedReceiver<Order>,
    ) -> (Vec<Log>, Vec<Violation>) {
        let (mut logs, mut violations) = (Vec::new(), Vec::new());
        loop {
            let mut process = match self.start() {
                Ok(process) => process,
                Err(error) => {
                    violations.push(Violation::Failed(error));
                    return (logs, violations);
                }
            };
            let result = tokio::select! {
                Some(Order::Die(away)) = orders.recv() => {
                    logs.push(kill(process).await);
                    self.after_death();
                    sleep(away).await;
                    continue;
                }
                result = &mut process.delivery => result,
            };
            match result {
                Ok(Ok(progress)) => {
                    let mut log = finished(&process);
                    log.ended = Some(progress);
                    logs.push(log);
                    return (logs, violations);
                }
                // The collector does not know yet that the dead one is dead.
                Ok(Err(StreamError::VantageTaken { .. })) => {
                    logs.push(gave_up(process).await);
                    sleep(AGAIN).await;
                }
                Ok(Err(error)) => {
                    logs.push(gave_up(process).await);
                    violations.push(Violation::Failed(error.to_string()));
                    return (logs, violations);
                }
                Err(error) => {
                    violations.push(Violation::Failed(error.to_string()));
                    return (logs, violations);
                }
            }
        }
    }

    /// Its clock.
    fn wall(&self) -> CaptureTime {
        time(self.began.elapsed(), self.story.vantages[self.index].skew)
    }

    fn start(&mut self) -> Result<Process, String> {
        self.starts += 1;
        let watcher = &self.story.vantages[self.index];
        let plan = self.plan.agents[self.index];
        let since = self.wall();
        let mut hello = Identity {
            vantage: watcher.vantage.clone(),
            source: CaptureSource::Live,
            selection: watcher.selection,
            interfaces: vec!["eth0".to_owned()],
            filter: "tcp".to_owned(),
            snaplen: 192,
        }
        .hello();
        // Later runs have higher ids, as those of the real agent.
        let run_id =
            Uuid::from_u128(u128::from(self.starts) << 64 | u128::from(self.chance.next()));
        hello.run_id = run_id.as_bytes().to_vec();
        let mut spool = Spool::default();
        if let Keep::Disk(limit) = plan.keep {
            let state = StateDir::open(&self.state, limit).map_err(|error| error.to_string())?;
            spool.left = state.left(since).map_err(|error| error.to_string())?;
            let journal = state.begin(&hello, since);
            spool.journal = Some(journal.map_err(|error| error.to_string())?);
            spool.state = Some(state);
        }
        let (ordering, ordered) = std::sync::mpsc::sync_channel(64);
        let collectors = self.plan.collectors;
        let first = self.chance.below(collectors as u64) as usize;
        let delivery = Delivery {
            collectors: (0..collectors)
                .map(|place| Exchange::url((first + place) % collectors))
                .collect(),
            hello,
            pressure: Pressure::Lose { drain: DRAIN },
            outbox: plan.outbox,
            spool,
            orders: Some(ordering),
            meter: Arc::default(),
            trust: parallax_agent::trust::Trust::default(),
            outside: self.exchange.outside(self.index, self.chance.clone()),
        };
        let log = Arc::new(Mutex::new(Log {
            run_id,
            vantage: watcher.vantage.clone(),
            keep: plan.keep,
            digests: Vec::new(),
            spans: Vec::new(),
            pieces: Vec::new(),
            acknowledged: 0,
            ended: None,
            is_vague: false,
        }));
        let (feed, taken) = mpsc::channel(FEED);
        let weak = feed.downgrade();
        let (telling, progress) = watch::channel(Progress::default());
        let capture = Capture {
            story: Arc::clone(&self.story),
            index: self.index,
            began: self.began,
            selection: watcher.selection,
            feed,
            log: Arc::clone(&log),
            ordered,
        };
        Ok(Process {
            capture: tokio::spawn(capture.go_on(since)),
            delivery: tokio::spawn(delivery.run(taken, telling)),
            feed: weak,
            log,
            progress,
        })
    }

    /// With that fault planted: the dead agent's first segment file is gone.
    fn after_death(&self) {
        if self.planted != Some(Planted::LostSegment) {
            return;
        }
        let runs = std::fs::read_dir(&self.state)
            .into_iter()
            .flatten()
            .flatten();
        let files = runs
            .filter_map(|run| std::fs::read_dir(run.path()).ok())
            .flatten()
            .flatten()
            .map(|file| file.path());
        let mut segments: Vec<PathBuf> = files
            .filter(|path| path.extension().is_some_and(|ending| ending == "segment"))
            .collect();
        segments.sort();
        if let Some(first) = segments.first() {
            let _ = std::fs::remove_file(first);
        }
    }
}

/// Ends a process where it stands.
async fn kill(mut process: Process) -> Log {
    let feed = process.feed.upgrade();
    process.capture.abort();
    // Room in the channel that was promised to it is free again.
    let _ = (&mut process.capture).await;
    process.delivery.abort();
    // Nothing of it runs any more; what is in the channel was not taken out by the stream.
    let waiting = feed.map_or(0, |feed| feed.max_capacity() - feed.capacity());
    let mut log = finished(&process);
    log.forget(waiting);
    // The lock of its state directory is free once it is gone.
    let _ = process.delivery.await;
    log
}

/// Ends the rest of a process whose stream gave up: that told how far it had come.
async fn gave_up(process: Process) -> Log {
    process.capture.abort();
    let mut log = finished(&process);
    log.digests
        .truncate(process.progress.borrow().numbered as usize);
    log.is_vague = true;
    let _ = process.capture.await;
    log
}

fn finished(process: &Process) -> Log {
    let mut log = process
        .log
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    log.acknowledged = process.progress.borrow().committed;
    log
}

fn time(since_begin: Duration, skew: i64) -> CaptureTime {
    CaptureTime::from_nanos(EPOCH + since_begin.as_nanos() as i64 + skew)
}

/// The capture side.
struct Capture {
    story: Arc<Story>,
    index: usize,
    began: Instant,
    selection: Selection,
    feed: mpsc::Sender<Feed>,
    log: Arc<Mutex<Log>>,
    ordered: Receiver<stream::Order>,
}

impl Capture {
    async fn go_on(self, since: CaptureTime) {
        let watcher = &self.story.vantages[self.index];
        let (out, mut handed) = mpsc::channel(4096);
        let memory = Memory::new(LEAST_OCTETS, self.selection, Grace::default());
        let ring = Ring::new(LEAST_OCTETS);
        let mut handover = Handover::new(memory, out).with_desk(Desk::new(ring, since));
        let started = self.began.elapsed();
        let mut frames = watcher.frames.iter().filter(|frame| frame.at >= started);
        let mut next = frames.next();
        let (mut from, mut received) = (since, 0);
        let mut beat = started + BEAT;
        while beat < END.max(started + 2 * BEAT) {
            let due = next.map_or(beat, |frame| frame.at.min(beat));
            sleep_until(self.began + due).await;
            if let Some(frame) = next
                && frame.at <= beat
            {
                received += 1;
                handover.packet(&RawPacket {
                    time: time(frame.at, watcher.skew),
                    link: LinkType::Raw,
                    original_len: frame.octets.len() as u32,
                    interface: 0,
                    data: &frame.octets,
                });
                next = frames.next();
            } else {
                let until = time(beat, watcher.skew);
                let span = Coverage {
                    from,
                    until,
                    received: std::mem::take(&mut received),
                    dropped: 0,
                };
                handover.watched(span, 0);
                from = until.plus(1);
                beat += BEAT;
            }
            for order in self.ordered.try_iter() {
                if let stream::Order::Ask(question) = order {
                    handover.ask(question);
                }
            }
            if handover.turn().is_err() {
                return;
            }
            while let Ok(piece) = handed.try_recv() {
                let Ok(permit) = self.feed.reserve().await else {
                    return;
                };
                self.log
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .note(&piece);
                permit.send(piece);
            }
        }
    }
}

/// Nothing that could not be read is in a story.
pub fn is_plain(span: &Span) -> bool {
    span.unread == UnreadCounts::default()
}
