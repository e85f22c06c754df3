//! The stream to the collector: takes digests in, whatever the network does, and delivers them.
//!
//! A beat or a full batch leaves at once, a reset or an answer too unless others left within the last [`PACE`],
//! anything else within [`LINGER`]. A lost connection is made again with growing pauses; the collector then says
//! from where on to send.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use parallax_core::{Digest, LossRecord};
use parallax_proto::v1::Hello;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use tracing::warn;

use crate::clock;
use crate::meter::{Levels, Meter};
use crate::outbox::{BATCH, Change, Outbox, Span};
use crate::recall::Recalled;
use crate::spool::Spool;
use crate::trust::Trust;
use crate::witness::Report;

mod aside;
pub mod backoff;
mod calling;
mod connection;
mod counted;
mod failure;
mod hearing;
mod identity;
mod ledger;
mod left;
mod link;
mod outside;
mod wire;

use wire::Words;
pub(crate) use wire::message;

pub use aside::Order;
use aside::Probe;
use backoff::Backoff;
use connection::{Address, Connection};
use failure::Parties;
pub use failure::StreamError;
pub(crate) use failure::innermost;
pub use identity::Identity;
use ledger::Ledger;
pub(crate) use link::Link;
pub use outside::{Dialling, Outside, Wire};

/// How long digests that are not urgent wait for company.
pub const LINGER: Duration = Duration::from_millis(250);

/// How long after resets and answers the next ones wait for company.
pub const PACE: Duration = Duration::from_millis(10);

const CLOSED: &str = "it closed the stream";

/// What the capture side hands over. Its end is the channel's.
#[derive(Debug)]
pub enum Feed {
    /// At most [`FEED_MAX`].
    Digests(Vec<Digest>),
    /// What was watched up to the digests handed over before.
    Watched(Span),
    /// What was lost, or may have been.
    Lost(LossRecord),
    /// What memory said to a question.
    Recalled(Recalled),
    /// Other segments travel from now on.
    Changed(Change),
    /// What the kernel witness heard.
    Witnessed(Report),
}

/// The most digests of one [`Feed::Digests`].
pub const FEED_MAX: usize = BATCH;

/// What happens when digests come faster than they leave, or the collector is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pressure {
    /// Packets do not wait: what finds no room is lost, and counted. Connecting is tried for ever;
    /// after the end of the feed, what is left has this long to arrive.
    Lose { drain: Duration },
    /// The feed waits. Without a connection for this long, delivery fails.
    Block { give_up: Duration },
}

/// To whom, as whom, and how.
#[derive(Debug)]
pub struct Delivery {
    /// Any of them will do; where one is lost the next is tried.
    pub collectors: Vec<String>,
    /// How they are spoken to.
    pub trust: Trust,
    pub hello: Hello,
    pub pressure: Pressure,
    /// Digests that the outbox holds in memory at most.
    pub outbox: usize,
    /// What it keeps on disk, and what earlier runs left there: that is delivered first.
    pub spool: Spool,
    /// Where the collector's orders go; `None`: nobody takes them.
    pub orders: Option<SyncSender<Order>>,
    pub meter: Arc<Meter>,
    pub outside: Outside,
}

/// How far delivery has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Digests taken in and numbered.
    pub numbered: u64,
    /// Digests in the collector's durable storage.
    pub committed: u64,
    /// Digests that found no room.
    pub lost: u64,
}

impl Delivery {
    /// Delivers all that `feed` brings; returns after its end, when everything is committed or the
    /// time for that has passed.
    ///
    /// # Errors
    /// A collector that refuses, contradicts itself, or ([`Pressure::Block`]) is out of reach.
    pub async fn run(
        self,
        feed: mpsc::Receiver<Feed>,
        progress: watch::Sender<Progress>,
    ) -> Result<Progress, StreamError> {
        let patience = match self.pressure {
            Pressure::Lose { .. } => Duration::MAX,
            Pressure::Block { give_up } => give_up,
        };
        let addresses = self
            .collectors
            .iter()
            .map(|url| connection::address(url, patience, &self.trust))
            .collect::<Result<Vec<Address>, StreamError>>()?;
        let mut courier = Courier::new(self, addresses, feed, progress);
        let result = courier.run().await;
        courier.tell();
        result.map(|()| courier.progress())
    }
}

/// How a conversation ended, other than by failing.
enum Parted {
    /// Nothing is left to say, or no time is left to say it.
    Done,
    /// The connection broke.
    Lost(String),
}

/// Whether there is something else to deliver.
enum After {
    GoOn,
    End,
}

/// When resets and answers leave.
#[derive(Debug, Clone, Copy)]
enum Pace {
    /// Now, until none is left.
    Leaving,
    /// [`PACE`] after the last ones have left.
    Since(Option<Instant>),
}

impl Pace {
    /// When the next ones leave; `None`: at once.
    fn wait(self, now: Instant) -> Option<Instant> {
        match self {
            Self::Since(Some(left)) => Some(left + PACE).filter(|due| *due > now),
            Self::Since(None) | Self::Leaving => None,
        }
    }
}

struct Courier {
    delivery: Delivery,
    /// Of the collectors, in their order.
    addresses: Vec<Address>,
    /// Which of them is tried next, or connected.
    turn: usize,
    probes: VecDeque<Probe>,
    parties: Parties,
    /// What earlier runs left, oldest first: it goes first.
    left: VecDeque<(Hello, Outbox)>,
    backoff: Backoff,
    feed: mpsc::Receiver<Feed>,
    feed_ended: bool,
    outbox: Outbox,
    ledger: Ledger,
    progress: watch::Sender<Progress>,
    /// When digests that wait for company leave without.
    flush_at: Option<Instant>,
    pace: Pace,
    /// When waiting for the collector ends.
    deadline: Option<Instant>,
}

impl Courier {
    fn new(
        mut delivery: Delivery,
        addresses: Vec<Address>,
        feed: mpsc::Receiver<Feed>,
        progress: watch::Sender<Progress>,
    ) -> Self {
        Self {
            parties: Parties {
                vantage: delivery.hello.vantage.clone(),
                url: delivery.collectors.first().cloned().unwrap_or_default(),
            },
            addresses,
            turn: 0,
            probes: VecDeque::new(),
            left: delivery
                .spool
                .left
                .drain(..)
                .map(|left| (left.hello, Outbox::left(delivery.outbox, left.journal)))
                .collect(),
            backoff: Backoff::default(),
            outbox: Outbox::with_journal(delivery.outbox, delivery.spool.journal.take()),
            ledger: Ledger::default(),
            delivery,
            feed,
            feed_ended: false,
            progress,
            flush_at: None,
            pace: Pace::Since(None),
            deadline: None,
        }
    }

    fn progress(&self) -> Progress {
        Progress {
            numbered: self.outbox.next_number(),
            committed: self.outbox.committed_below(),
            lost: self.outbox.lost(),
        }
    }

    fn levels(&self, progress: Progress) -> Levels {
        let (in_memory, memory_limit) = self.outbox.in_memory();
        let (spool, spool_limit) = self.outbox.on_disk();
        let left: u64 = self.left.iter().map(|(_, left)| left.on_disk().0).sum();
        Levels {
            numbered: progress.numbered,
            committed: progress.committed,
            given_up: progress.lost,
            in_memory: in_memory as u64,
            memory_limit: memory_limit as u64,
            spool: spool + left,
            spool_limit,
        }
    }

    fn tell(&self) {
        let progress = self.progress();
        self.delivery.meter.set_levels(&self.levels(progress));
        self.progress.send_replace(progress);
    }

    async fn run(&mut self) -> Result<(), StreamError> {
        loop {
            let talked = self.talk().await;
            match talked {
                Ok(After::GoOn) => {}
                Ok(After::End) => return Ok(()),
                Err(error) => self.without_left(error)?,
            }
        }
    }

    /// Connects, and talks until it is over or the connection breaks.
    async fn talk(&mut self) -> Result<After, StreamError> {
        let Some(connection) = self.connect().await? else {
            return Ok(After::End);
        };
        let (since, before) = (Instant::now(), connection.committed);
        self.delivery.meter.set_connected(true);
        let parted = self.converse(connection).await;
        self.delivery.meter.set_connected(false);
        match parted? {
            Parted::Done if self.left.is_empty() => {
                if self.outbox.is_all_committed() {
                    self.outbox.forget();
                }
                return Ok(After::End);
            }
            Parted::Done => {
                if self.current().is_all_committed() {
                    self.current().forget();
                }
                self.left.pop_front();
                return Ok(After::GoOn);
            }
            Parted::Lost(reason) => warn!(
                "lost the collector at {}: {reason}; digests are kept meanwhile",
                self.parties.url
            ),
        }
        self.next_collector();
        let committed = self.current().committed_below().saturating_sub(before);
        let pause = self
            .backoff
            .broke(since.elapsed(), committed, self.delivery.outside.chance());
        match self.meanwhile(tokio::time::sleep(pause)).await {
            Some(()) => Ok(After::GoOn),
            None => Ok(After::End),
        }
    }

    /// Awaits something while taking in what the feed brings; none when time is up.
    async fn meanwhile<T>(&mut self, wanted: impl Future<Output = T>) -> Option<T> {
        tokio::pin!(wanted);
        loop {
            tokio::select! {
                result = &mut wanted => return Some(result),
                item = self.feed.recv(), if self.may_take_in() => self.take_in(item),
                () = until(self.deadline) => return None,
            }
        }
    }

    fn may_take_in(&self) -> bool {
        let has_room = match self.delivery.pressure {
            Pressure::Lose { .. } => true,
            Pressure::Block { .. } => self.outbox.room() >= FEED_MAX,
        };
        !self.feed_ended && has_room
    }

    fn take_in(&mut self, item: Option<Feed>) {
        match item {
            Some(Feed::Digests(digests)) => {
                self.outbox.offer_all(&digests);
            }
            Some(Feed::Watched(span)) => self.outbox.watched(span),
            Some(Feed::Lost(loss)) => self.outbox.lose(loss),
            Some(Feed::Recalled(recalled)) => {
                self.outbox.recalled(recalled);
                self.delivery.meter.add_answer();
            }
            Some(Feed::Changed(change)) => self.outbox.changed(change),
            Some(Feed::Witnessed(report)) => self.ledger.enter(report),
            None => {
                self.feed_ended = true;
                self.outbox.end();
                if let Pressure::Lose { drain } = self.delivery.pressure {
                    self.deadline = Some(Instant::now() + drain);
                }
            }
        }
        self.tell();
        if self.flush_at.is_none() && !self.outbox.is_all_sent() {
            self.flush_at = Some(Instant::now() + LINGER);
        }
    }

    /// Talks over a connection until everything is said or it breaks.
    async fn converse(&mut self, mut connection: Connection) -> Result<Parted, StreamError> {
        let mut said_goodbye = false;
        self.flush_at = Some(Instant::now());
        self.probes.clear();
        loop {
            let all_sent = self.current().is_all_sent() && !self.has_testimony();
            let all_said = self.is_complete() && all_sent;
            let answers = !said_goodbye && !self.probes.is_empty();
            let due = self.is_due();
            let speaks = (all_said && !said_goodbye) || answers || due;
            let waits = self.current().can_send() && !due;
            let wake = self.wake_at();
            tokio::select! {
                message = connection.incoming.message() => match message {
                    Ok(Some(message)) => self.hear(message, said_goodbye)?,
                    Ok(None) if said_goodbye && self.current().is_all_committed() => return Ok(Parted::Done),
                    Ok(None) => return Ok(Parted::Lost(CLOSED.to_owned())),
                    Err(status) => return self.parties.judge(&status).lost().map(Parted::Lost),
                },
                permit = connection.outgoing.reserve(), if speaks => match permit {
                    Ok(permit) if answers => {
                        if let Some(probe) = self.probes.pop_front() {
                            permit.send(aside::stamps(probe, clock::wall()));
                        }
                    }
                    Ok(permit) if all_said => {
                        permit.send(wire::goodbye());
                        said_goodbye = true;
                    }
                    Ok(permit) => {
                        if let Some(message) = self.next_message(&connection.words) {
                            permit.send(connection.words.packed(message));
                        }
                    }
                    Err(_) => return self.hear_out(connection.incoming).await,
                },
                item = self.feed.recv(), if self.may_take_in() => self.take_in(item),
                () = until(wake), if waits => {}
                () = until(self.deadline) => return Ok(Parted::Done),
            }
        }
    }

    /// Whether something is to be sent now.
    fn is_due(&mut self) -> bool {
        let now = Instant::now();
        let waited = self.flush_at.is_some_and(|at| at <= now);
        let testimony = self.has_testimony();
        let complete = self.is_complete();
        let at_once = self.pace.wait(now).is_none();
        let outbox = self.current();
        let urgent = at_once && outbox.is_urgent() || outbox.is_pressing();
        testimony || outbox.can_send() && (waited || complete || urgent)
    }

    /// When what waits leaves.
    fn wake_at(&mut self) -> Option<Instant> {
        let paced = self.pace.wait(Instant::now());
        let paced = paced.filter(|_| self.current().is_urgent());
        self.flush_at.into_iter().chain(paced).min()
    }

    /// Testimony is of this run alone.
    fn has_testimony(&self) -> bool {
        self.left.is_empty() && self.ledger.has_unsent()
    }

    fn next_message(&mut self, words: &Words) -> Option<parallax_proto::v1::AgentMessage> {
        if self.has_testimony()
            && let Some(told) = self.ledger.take_next()
        {
            return Some(wire::testimony(&told));
        }
        let now = Instant::now();
        if self.current().is_urgent() && self.pace.wait(now).is_none() {
            self.pace = Pace::Leaving;
        }
        let message = match self.current().take_aside() {
            Some(aside) => aside::message(aside),
            None => words.message(&self.current().take_next()?),
        };
        if self.current().is_all_sent() {
            self.flush_at = None;
        }
        if matches!(self.pace, Pace::Leaving) && !self.current().is_urgent() {
            self.pace = Pace::Since(Some(now));
        }
        self.tell();
        Some(wire::metered(message, &self.delivery.meter))
    }
}

/// Waits until `time`; for ever without one.
async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}
