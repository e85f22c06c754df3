//! The loaders: take what all streams hand over and store it in few, large transactions, two at once: one packs while
//! the database takes in what the other packed. A stream stays with one of them, so that its digests stay in order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use parallax_core::Coverage;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tonic::Status;
use tracing::{Instrument as _, warn};

use super::Depot;
use super::conversation::database_away;
use crate::clock;
use crate::judging::Court;
use crate::meters;
use crate::store::{Loaded, Outcome, Portion, Source, StoreError};
use crate::traces;

/// Transactions at once.
const LOADERS: usize = 2;
/// Digests that wait for the database, of all streams: past this, streams are read no further.
const ROWS_WAITING_MAX: usize = 1 << 18;
/// Digests of one transaction, about.
const ROWS_MAX: usize = 1 << 16;
/// Portions of one transaction.
const PORTIONS_MAX: usize = 1024;
/// How long a transaction waits for more, when nothing in it is urgent.
const LINGER: Duration = Duration::from_millis(20);

/// What one stream hands over.
pub(super) struct Item {
    pub portion: Portion,
    pub source: Source,
    pub progress: watch::Sender<Progress>,
}

/// How far a stream's digests are stored.
#[derive(Debug, Clone)]
pub(super) enum Progress {
    Committed(u64),
    /// Everything, the goodbye included.
    Finished(u64),
    /// The stream must end with this.
    Failed(Status),
}

struct Waiting {
    item: Item,
    _room: Room,
}

/// A place among the digests that wait, which is counted.
struct Room(OwnedSemaphorePermit);

impl Room {
    fn new(permit: OwnedSemaphorePermit) -> Self {
        meters::queued(permit.num_permits());
        Self(permit)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        meters::unqueued(self.0.num_permits());
    }
}

impl Waiting {
    fn rows(&self) -> usize {
        self.item.portion.digests.len()
    }

    /// Whether something that its stream handed over before was not stored.
    fn has_failed(&self) -> bool {
        matches!(*self.item.progress.borrow(), Progress::Failed(_))
    }

    /// A reset, or an agent that waits for its last answer.
    fn is_urgent(&self) -> bool {
        let portion = &self.item.portion;
        portion.finished || portion.digests.iter().any(parallax_core::Digest::is_rst)
    }
}

/// The loaders' entrance. Clones lead to the same loaders.
#[derive(Clone)]
pub struct Loader {
    entrances: [mpsc::Sender<Waiting>; LOADERS],
    room: Arc<Semaphore>,
}

impl Loader {
    /// Starts the loaders; they end when every clone of their entrance is gone and all is stored.
    pub fn start(store: &Arc<dyn Depot>, court: &Court) -> (Self, JoinSet<()>) {
        let mut tasks = JoinSet::new();
        let entrances = std::array::from_fn(|_| {
            let (entrance, exit) = mpsc::channel(PORTIONS_MAX);
            tasks.spawn(load_all(Arc::clone(store), court.clone(), exit));
            entrance
        });
        let room = Arc::new(Semaphore::new(ROWS_WAITING_MAX));
        (Self { entrances, room }, tasks)
    }

    /// Waits for room and queues an item.
    pub(super) async fn take(&self, item: Item) -> Result<(), Status> {
        let stopping = || Status::unavailable("the collector is stopping");
        let rows = item.portion.digests.len().clamp(1, ROWS_WAITING_MAX);
        let room = Arc::clone(&self.room)
            .acquire_many_owned(rows as u32)
            .await
            .map_err(|_| stopping())?;
        let entrance = &self.entrances[item.portion.run.id as usize % LOADERS];
        let waiting = Waiting {
            item,
            _room: Room::new(room),
        };
        entrance.send(waiting).await.map_err(|_| stopping())
    }
}

async fn load_all(store: Arc<dyn Depot>, court: Court, mut exit: mpsc::Receiver<Waiting>) {
    while let Some(first) = exit.recv().await {
        let mut group = gather(first, &mut exit).await;
        // After what was not stored nothing of its stream may be: the agent sends all of it again.
        group.retain(|waiting| !waiting.has_failed());
        if !group.is_empty() {
            load(&*store, &court, group).await;
        }
    }
}

/// Takes what is there; waits a moment for more unless something is urgent.
async fn gather(first: Waiting, exit: &mut mpsc::Receiver<Waiting>) -> Vec<Waiting> {
    let deadline = Instant::now() + LINGER;
    let mut rows = first.rows();
    let mut urgent = first.is_urgent();
    let mut group = vec![first];
    while rows < ROWS_MAX && group.len() < PORTIONS_MAX {
        let next = if urgent {
            exit.try_recv().ok()
        } else {
            timeout_at(deadline, exit.recv()).await.ok().flatten()
        };
        let Some(next) = next else {
            break;
        };
        rows += next.rows();
        urgent |= next.is_urgent();
        group.push(next);
    }
    group
}

async fn load(store: &dyn Depot, court: &Court, group: Vec<Waiting>) {
    let portions: Vec<&Portion> = group.iter().map(|waiting| &waiting.item.portion).collect();
    let digests = group.iter().map(Waiting::rows).sum();
    let span = traces::load(portions.len(), digests);
    let begun = Instant::now();
    match store.load(&portions).instrument(span.clone()).await {
        Ok(loaded) => {
            span.record("parallax.rows", loaded.rows);
            meters::stored(loaded.rows, begun.elapsed());
            report(court, &group, loaded);
        }
        Err(error) if error.is_refusal() && runs(&group) > 1 => {
            traces::failed(&span, &error);
            drop(span);
            // One run's digests must not keep the others' out.
            for (_, part) in by_run(group) {
                Box::pin(load(store, court, part)).await;
            }
        }
        Err(error) => {
            traces::failed(&span, &error);
            fail(&group, &error);
        }
    }
}

fn runs(group: &[Waiting]) -> usize {
    let mut ids: Vec<i32> = group
        .iter()
        .map(|waiting| waiting.item.portion.run.id)
        .collect();
    ids.sort_unstable();
    ids.dedup();
    ids.len()
}

fn by_run(group: Vec<Waiting>) -> BTreeMap<i32, Vec<Waiting>> {
    let mut parts: BTreeMap<i32, Vec<Waiting>> = BTreeMap::new();
    for waiting in group {
        let id = waiting.item.portion.run.id;
        parts.entry(id).or_default().push(waiting);
    }
    parts
}

fn report(court: &Court, group: &[Waiting], loaded: Loaded) {
    for (waiting, outcome) in group.iter().zip(&loaded.outcomes) {
        let item = &waiting.item;
        let next = match outcome {
            Outcome::Committed(committed) => {
                let beats = item.portion.beats.iter();
                meters::watched(beats.filter_map(|beat| beat.span));
                meters::lost(&item.portion.losses);
                meters::answered(item.portion.asides.answers.len());
                if item.portion.finished {
                    Progress::Finished(*committed)
                } else {
                    Progress::Committed(*committed)
                }
            }
            Outcome::Gap { committed, first } => Progress::Failed(Status::unavailable(format!(
                "digests {committed} to {first} were not stored; connect again"
            ))),
            Outcome::Unknown => Progress::Failed(Status::unavailable(
                "the collector's database does not know this run any more; connect again",
            )),
        };
        advance(item, next);
    }
    announce_late_coverage(court, group);
    if !loaded.docketed.is_empty() {
        court.touched(loaded.docketed, brought(group));
    }
}

/// Which vantage brought a RST of which flow.
fn brought(group: &[Waiting]) -> Vec<(i32, i64)> {
    let portions = group.iter().map(|waiting| &waiting.item.portion);
    let resets = portions.flat_map(|portion| {
        let resets = portion.digests.iter().filter(|digest| digest.is_rst());
        resets.map(|digest| {
            let flow = digest.tuple.flow().hash().cast_signed();
            (portion.run.vantage_id, flow)
        })
    });
    let each: BTreeSet<(i32, i64)> = resets.collect();
    each.into_iter().collect()
}

/// A failed stream stays failed.
fn advance(item: &Item, next: Progress) {
    item.progress.send_if_modified(|progress| {
        if matches!(progress, Progress::Failed(_)) {
            return false;
        }
        *progress = next;
        true
    });
}

fn fail(group: &[Waiting], error: &StoreError) {
    warn!(portions = group.len(), "digests were not stored: {error}");
    meters::not_stored();
    let status = database_away(error);
    for waiting in group {
        advance(&waiting.item, Progress::Failed(status.clone()));
    }
}

/// Coverage that live agents kept back while they could not reach the collector.
fn announce_late_coverage(court: &Court, group: &[Waiting]) {
    let now = clock::wall();
    let portions = group
        .iter()
        .filter(|waiting| waiting.item.source == Source::Live)
        .map(|waiting| &waiting.item.portion);
    for portion in portions {
        let watched = portion.beats.iter().filter_map(|beat| beat.span);
        let lost = portion.losses.iter().filter_map(|loss| {
            Some(Coverage {
                from: loss.from,
                until: loss.until?,
                received: 0,
                dropped: 0,
            })
        });
        court.watched_live(portion.run.vantage_id, watched.chain(lost), now);
    }
}
