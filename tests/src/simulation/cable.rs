//! The virtual wire: connections that take time, break, and stand still.

use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use parallax_agent::stream::{Outside, Wire};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};
use tonic::transport::Uri;

use super::chance::Chance;

/// Octets on the way in one direction.
const BUFFER: usize = 1 << 16;
/// What passes at once.
const PIECE: usize = 4096;
/// Port of the first collector, in addresses.
const PORT: u16 = 7600;

/// How a cable is.
#[derive(Debug, Clone, Copy)]
enum State {
    Open,
    /// Nothing passes until then.
    Stalled(Instant),
    /// It is cut; what was on the way to the collector arrives so much later.
    Cut(Duration),
}

struct Cable {
    agent: usize,
    collector: usize,
    state: watch::Sender<State>,
}

type Entrance = mpsc::UnboundedSender<io::Result<DuplexStream>>;

/// Where collectors listen, and the cables between them and agents. Clones are the same.
#[derive(Clone)]
pub struct Exchange {
    inner: Arc<Mutex<Inner>>,
    latency: Range<u64>,
    chance: Chance,
}

#[derive(Default)]
struct Inner {
    entrances: Vec<Option<Entrance>>,
    cables: Vec<Cable>,
    connections: u64,
}

impl Exchange {
    pub fn new(latency: Range<u64>, chance: Chance) -> Self {
        Self {
            inner: Arc::default(),
            latency,
            chance,
        }
    }

    /// A collector's address.
    pub fn url(collector: usize) -> String {
        format!("http://127.0.0.1:{}", usize::from(PORT) + collector)
    }

    /// Connections that were made.
    pub fn connections(&self) -> u64 {
        self.lock().connections
    }

    /// What an agent's stream takes from outside.
    pub fn outside(&self, agent: usize, chance: Chance) -> Outside {
        let exchange = self.clone();
        Outside::new(
            move |uri| Box::pin(exchange.clone().dial(agent, uri)),
            move || chance.next() as u32,
        )
    }

    /// A collector listens.
    pub fn listen(&self, collector: usize) -> mpsc::UnboundedReceiver<io::Result<DuplexStream>> {
        let (entrance, incoming) = mpsc::unbounded_channel();
        let mut inner = self.lock();
        if inner.entrances.len() <= collector {
            inner.entrances.resize_with(collector + 1, || None);
        }
        inner.entrances[collector] = Some(entrance);
        incoming
    }

    /// A collector is gone, and all its connections with it.
    pub fn hang_up(&self, collector: usize) {
        let mut inner = self.lock();
        inner.entrances[collector] = None;
        inner.set(State::Cut(Duration::ZERO), |cable| {
            cable.collector == collector
        });
    }

    /// An agent's connections break.
    pub fn cut(&self, agent: usize, late: Duration) {
        self.lock()
            .set(State::Cut(late), |cable| cable.agent == agent);
    }

    /// Nothing passes over an agent's connections for a time.
    pub fn stall(&self, agent: usize, length: Duration) {
        let until = Instant::now() + length;
        self.lock()
            .set(State::Stalled(until), |cable| cable.agent == agent);
    }

    async fn dial(self, agent: usize, uri: Uri) -> io::Result<Box<dyn Wire>> {
        sleep(self.chance.micros(&self.latency)).await;
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        let port = uri.port_u16().and_then(|port| port.checked_sub(PORT));
        let collector = usize::from(port.ok_or_else(refused)?);
        let mut inner = self.lock();
        let entrance = inner.entrances.get(collector).cloned().flatten();
        let entrance = entrance.ok_or_else(refused)?;
        let (agents_end, near) = tokio::io::duplex(BUFFER);
        let (far, collectors_end) = tokio::io::duplex(BUFFER);
        entrance.send(Ok(collectors_end)).map_err(|_| refused())?;
        let (state, _) = watch::channel(State::Open);
        let (up, down) = (state.subscribe(), state.subscribe());
        inner
            .cables
            .retain(|cable| cable.state.receiver_count() > 0);
        inner.cables.push(Cable {
            agent,
            collector,
            state,
        });
        inner.connections += 1;
        drop(inner);
        let (from_agent, to_agent) = tokio::io::split(near);
        let (from_collector, to_collector) = tokio::io::split(far);
        tokio::spawn(self.clone().carry(from_agent, to_collector, up));
        tokio::spawn(self.carry(from_collector, to_agent, down));
        Ok(Box::new(agents_end))
    }

    /// One direction of a cable.
    async fn carry(
        self,
        mut from: ReadHalf<DuplexStream>,
        mut to: WriteHalf<DuplexStream>,
        mut state: watch::Receiver<State>,
    ) {
        let mut piece = vec![0; PIECE];
        loop {
            let most = self.chance.within(&(1..PIECE as u64 + 1)) as usize;
            let read = tokio::select! {
                biased;
                late = is_cut(&mut state) => return self.let_go(from, to, late).await,
                read = from.read(&mut piece[..most]) => read,
            };
            let Ok(count @ 1..) = read else {
                // One end is closed; the other learns of it.
                sleep(self.chance.micros(&self.latency)).await;
                let _ = to.shutdown().await;
                return;
            };
            sleep(self.chance.micros(&self.latency)).await;
            while let Some(until) = stalled(&mut state) {
                tokio::select! {
                    () = sleep_until(until) => {}
                    changed = state.changed() => if changed.is_err() { return },
                }
            }
            if let State::Cut(late) = *state.borrow()
                && late.is_zero()
            {
                return;
            }
            if to.write_all(&piece[..count]).await.is_err() {
                return;
            }
        }
    }

    /// A cut: this end is free at once, what it had sent arrives later, or never.
    async fn let_go(
        &self,
        mut from: ReadHalf<DuplexStream>,
        mut to: WriteHalf<DuplexStream>,
        late: Duration,
    ) {
        if late.is_zero() {
            return;
        }
        let mut left = vec![0; BUFFER];
        let read = tokio::time::timeout(Duration::ZERO, from.read(&mut left)).await;
        drop(from);
        sleep(late).await;
        if let Ok(Ok(count)) = read {
            let _ = to.write_all(&left[..count]).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn set(&self, state: State, which: impl Fn(&Cable) -> bool) {
        for cable in self.cables.iter().filter(|cable| which(cable)) {
            // What is cut stays cut.
            cable.state.send_if_modified(|now| {
                let changes = !matches!(now, State::Cut(_));
                if changes {
                    *now = state;
                }
                changes
            });
        }
    }
}

/// Until when nothing passes now.
fn stalled(state: &mut watch::Receiver<State>) -> Option<Instant> {
    match *state.borrow_and_update() {
        State::Stalled(until) if until > Instant::now() => Some(until),
        _ => None,
    }
}

/// Waits until the cable is cut; how late what was on the way arrives.
async fn is_cut(state: &mut watch::Receiver<State>) -> Duration {
    let cut = state
        .wait_for(|state| matches!(state, State::Cut(_)))
        .await
        .map(|state| *state);
    match cut {
        Ok(State::Cut(late)) => late,
        // Nobody can cut it any more.
        _ => std::future::pending().await,
    }
}
