//! One simulated agent: the script instead of a capture, and behind it what a real agent has: a memory that answers
//! the collector's questions, an outbox, and its stream.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, SystemTime};

use parallax_agent::noted::Noted;
use parallax_agent::outbox::Span;
use parallax_agent::recall::{Desk, LEAST_OCTETS, Ring};
use parallax_agent::spool::Spool;
use parallax_agent::stream::{Delivery, Feed, Identity, Order, Pressure, Progress, StreamError};
use parallax_core::decode::UnreadCounts;
use parallax_core::{CaptureTime, Coverage, Digest, Selection};
use parallax_proto::v1::CaptureSource;
use tokio::sync::{mpsc, watch};

use super::script::{Path, Sight};
use super::tally::Tally;

/// How often a live agent says what it watched.
const BEAT: i64 = 200_000_000;
/// How often digests that are not urgent are handed over.
const TICK: i64 = 100_000_000;
/// Digests kept while the collector is away, as a real agent does by default.
const OUTBOX: usize = 262_144;
/// What is handed over and not yet taken.
const FEED: usize = 64;
const ORDERS: usize = 1_024;
/// How long the last digests may take.
const DRAIN: Duration = Duration::from_mins(1);

/// Where and when an agent works.
#[derive(Clone)]
pub struct Post {
    pub path: Path,
    pub place: usize,
    pub collector: String,
    pub selection: Selection,
    /// Wall time, nanoseconds since the epoch, from and until which there is traffic. 0: not yet known.
    pub traffic: watch::Receiver<(i64, i64)>,
    pub progress: watch::Sender<Progress>,
    pub tally: Arc<Tally>,
}

/// Works until the traffic is over and delivered.
///
/// # Errors
/// The collector refused it.
pub async fn work(post: Post) -> Result<Progress, StreamError> {
    let (feed, receiver) = mpsc::channel(FEED);
    let (give, given) = sync_channel(ORDERS);
    let identity = Identity {
        vantage: post.path.vantage(post.place),
        source: CaptureSource::Live,
        selection: post.selection,
        interfaces: vec!["simulated".to_owned()],
        filter: String::new(),
        snaplen: 192,
    };
    let delivery = Delivery {
        collectors: vec![post.collector.clone()],
        trust: parallax_agent::trust::Trust::default(),
        hello: identity.hello(),
        pressure: Pressure::Lose { drain: DRAIN },
        outbox: OUTBOX,
        spool: Spool::default(),
        orders: Some(give),
        meter: Arc::default(),
        outside: parallax_agent::stream::Outside::default(),
    };
    let progress = post.progress.clone();
    let capture = Capture::new(post, feed, given);
    let (delivered, ()) = tokio::join!(delivery.run(receiver, progress), capture.run());
    delivered
}

/// What stands in for the capture thread.
struct Capture {
    post: Post,
    feed: mpsc::Sender<Feed>,
    orders: Receiver<Order>,
    desk: Desk,
    /// What passes soon, in the order of time.
    coming: Vec<Sight>,
    /// The connection that begins next.
    next: u32,
    watched: i64,
    /// Packets since then.
    received: u64,
}

impl Capture {
    fn new(post: Post, feed: mpsc::Sender<Feed>, orders: Receiver<Order>) -> Self {
        let since = wall();
        Self {
            desk: Desk::new(Ring::new(LEAST_OCTETS), CaptureTime::from_nanos(since)),
            post,
            feed,
            orders,
            coming: Vec::new(),
            next: 0,
            watched: since,
            received: 0,
        }
    }

    async fn run(mut self) {
        loop {
            let now = wall();
            let (from, until) = *self.post.traffic.borrow();
            self.begin(now, from, until);
            if self.hand_over(now).await.is_err() {
                return;
            }
            if from > 0 && now > until && self.coming.is_empty() {
                // The last word of a live agent is what it watched. Nobody left to tell: then it does not matter.
                let _ = self.beat(wall()).await;
                return;
            }
            let wake = self.wake(now);
            let pause = Duration::from_nanos(u64::try_from(wake - wall()).unwrap_or(0));
            tokio::time::sleep(pause).await;
        }
    }

    /// At the next tick, or with the next reset, which does not wait.
    fn wake(&self, now: i64) -> i64 {
        let urgent = self.coming.iter().find(|sight| sight.reset.is_some());
        let urgent = urgent.map(|sight| sight.digest.time.nanos());
        // Agents do not tick in step.
        let phase =
            i64::from(self.post.path.number) * 7_000_000 + self.post.place as i64 * 3_000_000;
        let tick = now + TICK - (now + phase) % TICK;
        urgent.map_or(tick, |urgent| urgent.min(tick)).max(now)
    }

    /// Connections up to the next tick.
    fn begin(&mut self, now: i64, from: i64, until: i64) {
        if from == 0 {
            return;
        }
        let path = self.post.path;
        // Paths do not begin in step.
        let first = from + path.interval * i64::from(path.number % 64) / 64;
        loop {
            let start = first + path.interval * i64::from(self.next);
            if start > now + TICK || start > until {
                break;
            }
            path.tell(self.post.place, self.next, start, &mut self.coming);
            self.next += 1;
        }
        self.coming.sort_by_key(|sight| sight.digest.time);
    }

    /// Hands over what has passed, what was watched, and answers.
    async fn hand_over(&mut self, now: i64) -> Result<(), mpsc::error::SendError<Feed>> {
        let passed = self
            .coming
            .partition_point(|sight| sight.digest.time.nanos() <= now);
        let mut digests: Vec<Digest> = Vec::with_capacity(passed);
        for sight in self.coming.drain(..passed) {
            self.desk
                .note(&Noted::of(&sight.digest), &[sight.digest], true);
            digests.push(sight.digest);
            if let Some((key, truth)) = sight.reset {
                self.post.tally.sent(key, truth, crate::measured::now());
            }
        }
        self.received += digests.len() as u64;
        if !digests.is_empty() {
            self.feed.send(Feed::Digests(digests)).await?;
        }
        if now - self.watched >= BEAT {
            self.beat(now).await?;
        }
        for order in self.orders.try_iter() {
            if let Order::Ask(question) = order {
                self.desk.ask(question);
            }
        }
        while let Some(recalled) = self.desk.take_ready() {
            self.feed.send(Feed::Recalled(recalled)).await?;
        }
        Ok(())
    }

    async fn beat(&mut self, now: i64) -> Result<(), mpsc::error::SendError<Feed>> {
        let coverage = Coverage {
            from: CaptureTime::from_nanos(self.watched),
            until: CaptureTime::from_nanos(now),
            received: std::mem::take(&mut self.received),
            dropped: 0,
        };
        self.watched = now + 1;
        self.desk.watched(&coverage);
        self.feed
            .send(Feed::Watched(Span {
                coverage,
                unread: UnreadCounts::default(),
                epoch: 0,
            }))
            .await
    }
}

/// Nanoseconds since the epoch.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
pub fn wall() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_nanos() as i64)
}
