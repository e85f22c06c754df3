//! The database of the simulation: tables in memory with what a transaction promises. What is new in a load the
//! collector's own [`accept`] decides.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use parallax_collector::ingest::Depot;
use parallax_collector::recall::Wanted;
use parallax_collector::store::{
    Accepted, Gain, Latest, Loaded, NewRun, Portion, Question, RegisterError, Registered, Row,
    StoreError, accept,
};
use parallax_core::{CaptureTime, Digest, ExchangedClock, Flow, LossRecord, Selection, Vantage};
use parallax_proto::testimony::Told;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Planted;
use super::chance::Chance;
use super::plan::DatabasePlan;
use super::verdicts;

/// As in the collector's `store/collectors.rs`.
const DEAD_AFTER: Duration = Duration::from_secs(6);
/// How long a question is open.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long what was acknowledged early is not durable yet, with that fault planted.
const WRITING: Duration = Duration::from_millis(400);

/// A run's row.
#[derive(Debug, Clone)]
pub struct Run {
    pub run_id: Uuid,
    pub vantage: usize,
    pub selection: Selection,
    pub committed: u64,
    pub latest: Option<Latest>,
    pub received: u64,
    pub finished: bool,
}

/// A digest's row.
#[derive(Debug, Clone)]
pub struct Stored {
    /// Index of the run.
    pub run: usize,
    pub number: u64,
    pub digest: Digest,
}

/// What memory said of a flow to a question.
#[derive(Debug, Clone, Copy)]
pub struct Remembered {
    pub run: usize,
    pub flow: Flow,
    pub span: (CaptureTime, CaptureTime),
}

/// Everything that is durable.
#[derive(Debug, Clone, Default)]
pub struct Tables {
    pub vantages: Vec<Vantage>,
    pub runs: Vec<Run>,
    /// In the order of their arrival.
    pub digests: Vec<Stored>,
    /// With the index of the run.
    pub coverage: Vec<(usize, Row)>,
    /// By run, cause, what was lost and when.
    pub losses: BTreeMap<(usize, &'static str, &'static str, CaptureTime), LossRecord>,
    pub remembered: Vec<Remembered>,
    /// Numbers of digests that came by recall: run, first, and the one after the last.
    pub recalled: BTreeSet<(usize, u64, u64)>,
    pub questions: Vec<(Instant, Question)>,
    pub asked: BTreeMap<i64, Wanted>,
    /// By vantage: the run that is connected, to whom, and when that was said last.
    streams: BTreeMap<i32, (Uuid, Uuid, Instant)>,
}

struct Inner {
    tables: Tables,
    /// With an early acknowledgement: what is durable, while the rest is not yet.
    durable: Option<Tables>,
    away_until: Option<Instant>,
}

/// One for all collectors. Clones are the same.
#[derive(Clone)]
pub struct Database {
    inner: Arc<Mutex<Inner>>,
    plan: DatabasePlan,
    planted: Option<Planted>,
    chance: Chance,
    told: watch::Sender<usize>,
}

impl Database {
    pub fn new(plan: DatabasePlan, planted: Option<Planted>, chance: Chance) -> Self {
        Self {
            inner: Arc::new(Mutex::new(Inner {
                tables: Tables::default(),
                durable: None,
                away_until: None,
            })),
            plan,
            planted,
            chance,
            told: watch::channel(0).0,
        }
    }

    pub fn tables(&self) -> Tables {
        self.lock().tables.clone()
    }

    /// Every statement fails for a time.
    pub fn away(&self, length: Duration) {
        self.lock().away_until = Some(Instant::now() + length);
    }

    /// A collector died: what it alone believed to be stored is gone.
    pub fn collector_died(&self) {
        let mut inner = self.lock();
        if let Some(durable) = inner.durable.take() {
            inner.tables = durable;
        }
    }

    /// Changes when there are new questions.
    pub fn told(&self) -> watch::Receiver<usize> {
        self.told.subscribe()
    }

    pub fn open_questions(&self) -> Vec<Question> {
        let now = Instant::now();
        let inner = self.lock();
        let open = inner.tables.questions.iter();
        open.filter(|(asked, _)| now.duration_since(*asked) < PATIENCE)
            .map(|(_, question)| question.clone())
            .collect()
    }

    pub fn keep_streams(&self, collector: Uuid, vantages: &[String]) {
        let mut inner = self.lock();
        let Tables {
            streams,
            vantages: rows,
            ..
        } = &mut inner.tables;
        for (vantage, stream) in streams.iter_mut() {
            let name = &rows[*vantage as usize].name;
            if stream.1 == collector && vantages.contains(name) {
                stream.2 = Instant::now();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A collector's way to the database.
pub struct Line {
    database: Database,
    alive: CancellationToken,
    pub collector: Uuid,
}

impl Line {
    pub fn new(database: &Database, alive: CancellationToken) -> Self {
        let high = u128::from(database.chance.next()) << 64;
        Self {
            collector: Uuid::from_u128(high | u128::from(database.chance.next())),
            database: database.clone(),
            alive,
        }
    }

    /// A statement's way there, or its answer's back. A dead collector neither sends nor hears.
    async fn travel(&self) -> Result<(), StoreError> {
        let database = &self.database;
        sleep(database.chance.micros(&database.plan.latency)).await;
        if self.alive.is_cancelled() || database.chance.one_in(2 * database.plan.fails_one_in) {
            return Err(broken());
        }
        Ok(())
    }

    /// The database, if it answers now.
    fn inner(&self) -> Result<MutexGuard<'_, Inner>, StoreError> {
        let inner = self.database.lock();
        let away = inner.away_until.is_some_and(|until| until > Instant::now());
        if away || self.alive.is_cancelled() {
            return Err(broken());
        }
        Ok(inner)
    }
}

fn broken() -> StoreError {
    StoreError::Database {
        what: "reach the database of the simulation",
        source: sqlx::Error::PoolTimedOut,
    }
}

#[tonic::async_trait]
impl Depot for Line {
    async fn register(&self, run: &NewRun) -> Result<Registered, RegisterError> {
        self.travel().await?;
        let registered = self.inner()?.tables.register(run);
        self.travel().await?;
        registered
    }

    async fn open_stream(
        &self,
        run: Registered,
        run_id: Uuid,
        collector: Uuid,
    ) -> Result<bool, StoreError> {
        self.travel().await?;
        let now = Instant::now();
        let mut inner = self.inner()?;
        let streams = &mut inner.tables.streams;
        let taken = streams.get(&run.vantage_id).is_none_or(|(held, by, seen)| {
            *held == run_id || *by == collector || now.duration_since(*seen) > DEAD_AFTER
        });
        if taken {
            streams.insert(run.vantage_id, (run_id, collector, now));
        }
        Ok(taken)
    }

    async fn close_stream(
        &self,
        run: Registered,
        run_id: Uuid,
        collector: Uuid,
    ) -> Result<(), StoreError> {
        self.travel().await?;
        let mut inner = self.inner()?;
        let streams = &mut inner.tables.streams;
        let held = streams.get(&run.vantage_id);
        if held.is_some_and(|(held, by, _)| *held == run_id && *by == collector) {
            streams.remove(&run.vantage_id);
        }
        Ok(())
    }

    async fn load(&self, portions: &[&Portion]) -> Result<Loaded, StoreError> {
        self.travel().await?;
        let (loaded, asks) = {
            let mut inner = self.inner()?;
            if self.database.planted == Some(Planted::EarlyAcknowledgement)
                && inner.durable.is_none()
            {
                inner.durable = Some(inner.tables.clone());
                let database = self.database.clone();
                tokio::spawn(async move {
                    sleep(WRITING).await;
                    database.lock().durable = None;
                });
            }
            inner.tables.load(portions, self.database.planted)
        };
        if asks {
            self.database.told.send_modify(|count| *count += 1);
        }
        self.travel().await?;
        Ok(loaded)
    }

    async fn testify(&self, _run: Registered, _told: &Told) -> Result<Vec<i64>, StoreError> {
        self.travel().await?;
        Ok(Vec::new())
    }

    async fn note_clock(&self, _run: Registered, _clock: ExchangedClock) -> Result<(), StoreError> {
        self.travel().await
    }

    async fn span_of_run(
        &self,
        _id: i32,
    ) -> Result<Option<(CaptureTime, CaptureTime)>, StoreError> {
        self.travel().await?;
        Ok(None)
    }
}

impl Tables {
    fn register(&mut self, run: &NewRun) -> Result<Registered, RegisterError> {
        let known = self
            .vantages
            .iter()
            .position(|vantage| vantage.name == run.vantage.name);
        let vantage = known.unwrap_or_else(|| {
            self.vantages.push(run.vantage.clone());
            self.vantages.len() - 1
        });
        self.vantages[vantage] = run.vantage.clone();
        let known = self.runs.iter().position(|row| row.run_id == run.run_id);
        let id = known.unwrap_or_else(|| {
            self.runs.push(Run {
                run_id: run.run_id,
                vantage,
                selection: run.selection,
                committed: 0,
                latest: None,
                received: 0,
                finished: false,
            });
            self.runs.len() - 1
        });
        let row = &self.runs[id];
        if row.vantage != vantage {
            return Err(RegisterError::OtherVantage {
                run_id: run.run_id,
                theirs: self.vantages[row.vantage].name.clone(),
                said: run.vantage.name.clone(),
            });
        }
        Ok(Registered {
            id: id as i32,
            vantage_id: vantage as i32,
            committed: row.committed,
        })
    }

    /// One transaction; and whether there are new questions.
    fn load(&mut self, portions: &[&Portion], planted: Option<Planted>) -> (Loaded, bool) {
        let mut states: BTreeMap<i32, Gain> = BTreeMap::new();
        for portion in portions {
            if let Some(run) = self.runs.get(portion.run.id as usize) {
                let gain = Gain::found(run.vantage as i32, run.committed, run.latest);
                states.insert(portion.run.id, gain);
            }
        }
        let Accepted {
            outcomes,
            fresh: accepted,
            taken,
        } = accept(&mut states, portions);
        let mut loaded = Loaded {
            outcomes,
            ..Loaded::default()
        };
        let mut touched: BTreeSet<Flow> = BTreeSet::new();
        for fresh in &accepted {
            for (number, digest) in (fresh.first_number..).zip(fresh.digests) {
                self.digests.push(Stored {
                    run: fresh.run.id as usize,
                    number,
                    digest: *digest,
                });
                touched.insert(digest.tuple.flow());
                loaded.rows += 1;
            }
        }
        if planted == Some(Planted::DoubleInsert) {
            self.insert_known(portions);
        }
        for (id, gain) in &states {
            self.advance(*id as usize, gain);
        }
        for portion in taken {
            self.add_asides(portion);
        }
        let asks = touched.into_iter().filter(|flow| self.ask(*flow)).count() > 0;
        (loaded, asks)
    }

    /// The planted fault: what was stored by an earlier load is stored again.
    fn insert_known(&mut self, portions: &[&Portion]) {
        for portion in portions {
            let run = portion.run.id as usize;
            let known: BTreeSet<u64> = self
                .digests
                .iter()
                .filter(|stored| stored.run == run)
                .map(|stored| stored.number)
                .collect();
            let before = self.runs[run].committed;
            for (number, digest) in (portion.first_number..).zip(&portion.digests) {
                if number < before && known.contains(&number) {
                    self.digests.push(Stored {
                        run,
                        number,
                        digest: *digest,
                    });
                }
            }
        }
    }

    fn advance(&mut self, id: usize, gain: &Gain) {
        if let Some(extended) = gain.growth.extended {
            let row = self.coverage.iter_mut().find(|(run, row)| {
                *run == id && row.epoch == extended.epoch && row.span.from == extended.span.from
            });
            if let Some((_, row)) = row {
                row.span.until = extended.span.until;
                row.span.received += extended.span.received;
            }
        }
        let rows = gain.growth.rows.iter();
        self.coverage.extend(rows.map(|row| (id, *row)));
        let run = &mut self.runs[id];
        run.committed = gain.committed;
        run.latest = gain.latest;
        run.received += gain.growth.received;
        run.finished |= gain.finished;
    }

    fn add_asides(&mut self, portion: &Portion) {
        let run = portion.run.id as usize;
        for loss in &portion.losses {
            let key = (run, loss.cause.as_str(), loss.of.as_str(), loss.from);
            let known = self.losses.entry(key).or_insert_with(|| loss.clone());
            known.until = match (known.until, loss.until) {
                (Some(known), Some(told)) => Some(known.max(told)),
                _ => None,
            };
            known.count = known.count.max(loss.count);
        }
        for answer in &portion.asides.answers {
            let (first, next) = answer.numbers;
            if first < next {
                let (first, next) = (first.cast_unsigned(), next.cast_unsigned());
                self.recalled.insert((run, first, next));
            }
            if let Some(span) = answer.span.filter(|_| answer.complete) {
                let flows = answer.flows.iter();
                self.remembered.extend(flows.map(|held| Remembered {
                    run,
                    flow: held.flow,
                    span,
                }));
            }
        }
    }

    /// Asks about a flow with resets, unless all was asked.
    fn ask(&mut self, flow: Flow) -> bool {
        let Some(evidence) = verdicts::segments(self, flow) else {
            return false;
        };
        let Some(mut wanted) = Wanted::of(&evidence, None) else {
            return false;
        };
        if let Some(asked) = self.asked.get(&wanted.flow) {
            if !wanted.adds_to(asked) {
                return false;
            }
            wanted.join(asked);
        }
        let mut recall = wanted.question().recall;
        recall.id = self.questions.len() as u64 + 1;
        self.questions.push((
            Instant::now(),
            Question {
                recall,
                vantages: None,
            },
        ));
        self.asked.insert(wanted.flow, wanted);
        true
    }
}
