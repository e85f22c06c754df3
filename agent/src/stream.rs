//! The stream to the collector: takes digests in, whatever the network does, and delivers them.
//!
//! A reset, a beat or a full batch leaves at once, anything else within [`LINGER`]. A lost
//! connection is made again with growing pauses; the collector then says from where on to send.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use parallax_core::Digest;
use parallax_proto::v1::{CollectorMessage, Hello, collector_message};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout_at};
use tonic::Streaming;
use tonic::transport::Endpoint;
use tracing::{debug, info, warn};

use crate::outbox::{BATCH, Outbox, Span};
use crate::witness::Report;

pub mod backoff;
mod connection;
mod failure;
mod identity;
mod ledger;
mod wire;

use connection::Connection;
pub use failure::StreamError;
use failure::{Broken, Parties};
pub use identity::Identity;
use ledger::Ledger;

/// How long digests that are not urgent wait for company.
pub const LINGER: Duration = Duration::from_millis(50);

/// How long a collector may take to close the stream after everything is committed.
const CLOSING: Duration = Duration::from_secs(5);

/// How long a collector is listened to that takes nothing any more.
const HEARING_OUT: Duration = Duration::from_secs(1);

const CLOSED: &str = "it closed the stream";

/// What the capture side hands over. Its end is the channel's.
#[derive(Debug)]
pub enum Feed {
    /// At most [`FEED_MAX`].
    Digests(Vec<Digest>),
    /// What was watched up to the digests handed over before.
    Watched(Span),
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
#[derive(Debug, Clone)]
pub struct Delivery {
    pub url: String,
    pub hello: Hello,
    pub pressure: Pressure,
    /// Digests that the outbox holds at most.
    pub outbox: usize,
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
        let endpoint = connection::endpoint(&self.url, patience)?;
        let mut courier = Courier::new(self, feed, progress);
        let result = courier.run(&endpoint).await;
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

struct Courier {
    delivery: Delivery,
    parties: Parties,
    feed: mpsc::Receiver<Feed>,
    feed_ended: bool,
    outbox: Outbox,
    ledger: Ledger,
    progress: watch::Sender<Progress>,
    /// When digests that wait for company leave without.
    flush_at: Option<Instant>,
    /// When waiting for the collector ends.
    deadline: Option<Instant>,
}

impl Courier {
    fn new(
        delivery: Delivery,
        feed: mpsc::Receiver<Feed>,
        progress: watch::Sender<Progress>,
    ) -> Self {
        Self {
            parties: Parties {
                vantage: delivery.hello.vantage.clone(),
                url: delivery.url.clone(),
            },
            outbox: Outbox::new(delivery.outbox),
            ledger: Ledger::default(),
            delivery,
            feed,
            feed_ended: false,
            progress,
            flush_at: None,
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

    fn tell(&self) {
        self.progress.send_replace(self.progress());
    }

    async fn run(&mut self, endpoint: &Endpoint) -> Result<(), StreamError> {
        while let Some(connection) = self.connect(endpoint).await? {
            match self.converse(connection).await? {
                Parted::Done => return Ok(()),
                Parted::Lost(reason) => warn!(
                    "lost the collector at {}: {reason}; digests are kept meanwhile",
                    self.parties.url
                ),
            }
        }
        Ok(())
    }

    /// Tries until there is a connection; none when the time for that is over.
    async fn connect(&mut self, endpoint: &Endpoint) -> Result<Option<Connection>, StreamError> {
        let since = Instant::now();
        for attempt in 0.. {
            let opening = connection::open(
                endpoint.clone(),
                self.delivery.hello.clone(),
                self.parties.clone(),
            );
            let reason = match self.meanwhile(opening).await {
                None => return Ok(None),
                Some(Ok(connection)) => return self.welcome(connection).map(Some),
                Some(Err(Broken::Fatal(error))) => return Err(error),
                Some(Err(Broken::Lost(reason))) => reason,
            };
            let left = self.bear(since, attempt, reason)?;
            let jitter = RandomState::new().build_hasher().finish() as u32;
            let pause = tokio::time::sleep(backoff::pause(attempt, jitter).min(left));
            if self.meanwhile(pause).await.is_none() {
                return Ok(None);
            }
        }
        Ok(None)
    }

    /// A failed attempt: a live capture says so once, a bounded one fails when its time is over.
    /// Returns the time that is left.
    fn bear(&self, since: Instant, attempt: u32, reason: String) -> Result<Duration, StreamError> {
        let url = &self.parties.url;
        debug!("attempt {attempt} to reach {url}: {reason}");
        match self.delivery.pressure {
            Pressure::Block { give_up } => match give_up.checked_sub(since.elapsed()) {
                Some(left) if !left.is_zero() => Ok(left),
                _ => Err(self.parties.unreachable(reason)),
            },
            Pressure::Lose { .. } => {
                if attempt == 0 {
                    warn!(
                        "cannot reach a collector at {url}: {reason}; \
                         trying on, digests are kept meanwhile"
                    );
                }
                Ok(Duration::MAX)
            }
        }
    }

    fn welcome(&mut self, connection: Connection) -> Result<Connection, StreamError> {
        info!(
            "connected to the collector at {} (version {}), which holds {} digests of this run",
            self.parties.url, connection.collector_version, connection.committed
        );
        self.outbox
            .resume(connection.committed)
            .map_err(|error| self.parties.contradiction(error))?;
        self.ledger.send_again();
        self.tell();
        Ok(connection)
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
                for digest in &digests {
                    self.outbox.offer(digest);
                }
            }
            Some(Feed::Watched(span)) => self.outbox.watched(span),
            Some(Feed::Witnessed(report)) => self.ledger.enter(report),
            None => {
                self.feed_ended = true;
                self.outbox.end();
                if let Pressure::Lose { drain } = self.delivery.pressure {
                    self.deadline = Some(Instant::now() + drain);
                }
            }
        }
        if self.flush_at.is_none() && !self.outbox.is_all_sent() {
            self.flush_at = Some(Instant::now() + LINGER);
        }
    }

    /// Talks over a connection until everything is said or it breaks.
    async fn converse(&mut self, mut connection: Connection) -> Result<Parted, StreamError> {
        let mut said_goodbye = false;
        self.flush_at = Some(Instant::now());
        loop {
            let all_said =
                self.feed_ended && self.outbox.is_all_sent() && !self.ledger.has_unsent();
            let speaks = (all_said && !said_goodbye) || self.is_due();
            tokio::select! {
                message = connection.incoming.message() => match message {
                    Ok(Some(message)) => self.hear(message, said_goodbye)?,
                    Ok(None) if said_goodbye && self.outbox.is_all_committed() => return Ok(Parted::Done),
                    Ok(None) => return Ok(Parted::Lost(CLOSED.to_owned())),
                    Err(status) => return self.parties.judge(&status).lost().map(Parted::Lost),
                },
                permit = connection.outgoing.reserve(), if speaks => match permit {
                    Ok(permit) if all_said => {
                        permit.send(wire::goodbye());
                        said_goodbye = true;
                    }
                    Ok(permit) => {
                        if let Some(message) = self.next_message() {
                            permit.send(message);
                        }
                    }
                    Err(_) => return self.hear_out(connection.incoming).await,
                },
                item = self.feed.recv(), if self.may_take_in() => self.take_in(item),
                () = until(self.flush_at), if !self.is_due() && !self.outbox.is_all_sent() => {}
                () = until(self.deadline) => return Ok(Parted::Done),
            }
        }
    }

    /// Nothing more can be sent: takes in what the collector still says, its refusal above all.
    async fn hear_out(
        &mut self,
        mut incoming: Streaming<CollectorMessage>,
    ) -> Result<Parted, StreamError> {
        let end = Instant::now() + HEARING_OUT;
        loop {
            match timeout_at(end, incoming.message()).await {
                Ok(Ok(Some(message))) => self.hear(message, false)?,
                Ok(Err(status)) => return self.parties.judge(&status).lost().map(Parted::Lost),
                Ok(Ok(None)) | Err(_) => return Ok(Parted::Lost(CLOSED.to_owned())),
            }
        }
    }

    /// Whether something is to be sent now.
    fn is_due(&self) -> bool {
        let waited = self.flush_at.is_some_and(|at| at <= Instant::now());
        self.ledger.has_unsent()
            || !self.outbox.is_all_sent() && (waited || self.feed_ended || self.outbox.is_urgent())
    }

    fn next_message(&mut self) -> Option<parallax_proto::v1::AgentMessage> {
        if let Some(told) = self.ledger.take_next() {
            return Some(wire::testimony(&told));
        }
        let outgoing = self.outbox.take_next()?;
        if self.outbox.is_all_sent() {
            self.flush_at = None;
        }
        self.tell();
        Some(wire::message(&outgoing))
    }

    fn hear(&mut self, message: CollectorMessage, said_goodbye: bool) -> Result<(), StreamError> {
        let committed = match message.message {
            Some(collector_message::Message::Committed(message)) => message.committed,
            Some(collector_message::Message::Welcome(message)) => message.committed,
            Some(collector_message::Message::TestimonyStored(message)) => {
                self.ledger.stored(message.number);
                return Ok(());
            }
            None => return Ok(()),
        };
        self.outbox
            .commit(committed)
            .map_err(|error| self.parties.contradiction(error))?;
        self.tell();
        if said_goodbye && self.outbox.is_all_committed() && self.deadline.is_none() {
            self.deadline = Some(Instant::now() + CLOSING);
        }
        Ok(())
    }
}

/// Waits until `time`; for ever without one.
async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}
