//! The loop: gather, judge, write, tell the watchers.

use std::collections::{BTreeMap, HashMap};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use parallax_core::CaptureTime;
use parallax_core::judge::{Judged, judge_flow};
use parallax_core::report::{Origin, ResetReport};
use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, Span, error, warn};
use uuid::Uuid;

use super::docket::{Docket, Due, Said, Urgency};
use super::shares::Shares;
use super::spans::Spans;
use super::{Court, News};
use crate::clock;
use crate::meters;
use crate::recall::{Inquiries, Wanted};
use crate::store::{Ask, Gathered, Settling, Store, StoreError, Turn, Verdicts, Written};
use crate::traces::{self, Step};

/// Flows judged with one gathering of evidence.
const FLOWS_MAX: usize = 64;
/// Gatherings at once.
const SITTINGS_MAX: usize = 2;
/// The confidence from which on a verdict counts as sure.
const SURE: f64 = 0.9;
/// Verdicts that a slow watcher may lag behind.
const WATCHERS_LAG: usize = 4096;

/// How often work is looked for that other collectors left.
const LOOK_AROUND: Duration = Duration::from_secs(2);

/// Between two attempts to read the docket at start.
const TAKE_UP_PAUSE: Duration = Duration::from_secs(1);

/// New and changed verdicts, to whoever watches.
pub type Watchers = broadcast::Sender<Arc<ResetReport>>;

/// A channel for watchers.
pub fn watchers() -> Watchers {
    broadcast::channel(WATCHERS_LAG).0
}

/// The judge loop's state.
pub struct Judge {
    store: Store,
    bench: Bench,
    watchers: Watchers,
    news: mpsc::UnboundedReceiver<News>,
    docket: Docket,
    shares: Shares,
    /// The database gathers for one while another is judged.
    sittings: JoinSet<Sitting>,
    /// The flows of each.
    seated: HashMap<tokio::task::Id, Vec<i64>>,
    /// Late coverage whose resets are not entered yet, by vantage; `None`: what a file's coverage says concerns all.
    watched: BTreeMap<Option<i32>, Spans>,
}

impl Judge {
    /// A judge, and where to hand in news for it. `path` names the configured path.
    pub fn new(
        store: Store,
        path: Vec<String>,
        watchers: Watchers,
        inquiries: Inquiries,
        collector: Uuid,
    ) -> (Self, Court) {
        let (court, news) = Court::open();
        let bench = Bench {
            store: store.clone(),
            path: path.into(),
            inquiries,
            collector,
        };
        let judge = Self {
            store,
            bench,
            watchers,
            news,
            docket: Docket::default(),
            shares: Shares::default(),
            sittings: JoinSet::new(),
            seated: HashMap::new(),
            watched: BTreeMap::new(),
        };
        (judge, court)
    }

    /// Judges until `stop`. What was in the docket before the start is taken up.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut taken_up = false;
        let mut look_around = interval(LOOK_AROUND);
        loop {
            if !taken_up {
                taken_up = self.take_up().await;
            }
            let has_room = self.sittings.len() < SITTINGS_MAX;
            let mut next = self.docket.next().filter(|_| has_room);
            if !taken_up {
                let again = Instant::now() + TAKE_UP_PAUSE;
                next = Some(next.map_or(again, |next| next.min(again)));
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                news = self.news.recv() => match news {
                    Some(news) => self.hear(news).await,
                    None => return,
                },
                _ = look_around.tick() => {
                    let (flows, late) = self.docket.waiting(Instant::now());
                    meters::docket(flows, late);
                    self.take_over().await;
                    self.enter_watched().await;
                }
                Some(ended) = self.sittings.join_next_with_id() => match ended {
                    Ok((id, sitting)) => {
                        let flows = self.seated.remove(&id).unwrap_or_default();
                        self.conclude(&flows, sitting);
                    }
                    Err(error) => {
                        error!("a sitting of the judge ended unexpectedly: {error}");
                        let flows = self.seated.remove(&error.id()).unwrap_or_default();
                        self.later(&flows);
                    }
                },
                () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {
                    if has_room {
                        self.sit();
                    }
                }
            }
            while let Ok(news) = self.news.try_recv() {
                self.hear(news).await;
            }
        }
    }

    /// Work that an earlier collector left.
    async fn take_up(&mut self) -> bool {
        match self.store.docketed().await {
            Ok(flows) => {
                self.enter(&flows, Urgency::Late);
                true
            }
            Err(error) => {
                warn!("what was left to judge is taken up later: {error}");
                false
            }
        }
    }

    /// Work that another collector does not do.
    async fn take_over(&mut self) {
        match self.store.left_behind().await {
            Ok(flows) => {
                let unknown = flows.into_iter().filter(|flow| !self.docket.holds(*flow));
                let unknown: Vec<i64> = unknown.collect();
                self.enter(&unknown, Urgency::Late);
            }
            Err(error) => warn!("what others left is taken over later: {error}"),
        }
    }

    fn enter(&mut self, flows: &[i64], urgency: Urgency) {
        let mut turn = Instant::now();
        for flow in flows {
            self.docket.enter(*flow, urgency, turn);
            // Their order stays.
            turn += Duration::from_nanos(1);
        }
    }

    /// What is beyond a vantage's share waits for all others'.
    fn enter_fresh(&mut self, flows: Vec<i64>, brought: &[(i32, i64)]) {
        let beyond = self.shares.take(brought, Instant::now());
        let (crowd, own): (Vec<i64>, Vec<i64>) = flows
            .into_iter()
            .partition(|flow| beyond.flows.contains(flow));
        self.enter(&own, Urgency::Fresh);
        self.enter(&crowd, Urgency::Crowd);
        for vantage in beyond.say {
            let store = self.store.clone();
            tokio::spawn(async move {
                let vantage = store.vantage_name(vantage).await.unwrap_or_default();
                warn!(
                    vantage,
                    "brings more resets than can be judged at once: they wait for those of others"
                );
            });
        }
    }

    async fn hear(&mut self, news: News) {
        match news {
            News::Touched { flows, brought } => self.enter_fresh(flows, &brought),
            // What was kept back comes in many parts; each would have the same resets judged again.
            News::Watched {
                vantage_id,
                from,
                until,
            } => self.watch(Some(vantage_id), from, until),
            News::WatchedFile { from, until } => {
                self.watch(None, from, until);
                self.enter_watched().await;
            }
        }
    }

    fn watch(&mut self, vantage: Option<i32>, from: CaptureTime, until: CaptureTime) {
        self.watched.entry(vantage).or_default().add(from, until);
    }

    /// Resets within late coverage are judged again; those that cannot be entered now, later.
    async fn enter_watched(&mut self) {
        let watched: Vec<(Option<i32>, CaptureTime, CaptureTime)> =
            std::mem::take(&mut self.watched)
                .into_iter()
                .flat_map(|(vantage, spans)| {
                    let spans = spans.into_iter();
                    spans.map(move |(from, until)| (vantage, from, until))
                })
                .collect();
        if watched.is_empty() {
            return;
        }
        match self.store.docket_spans(&watched).await {
            Ok(flows) => self.enter(&flows, Urgency::Late),
            Err(error) => {
                warn!("resets within a late coverage are judged again later: {error}");
                for (vantage, from, until) in watched {
                    self.watch(vantage, from, until);
                }
            }
        }
    }

    /// Begins a sitting over what is due.
    fn sit(&mut self) {
        let gathered = Instant::now();
        let due = self.docket.take(gathered, FLOWS_MAX);
        if due.is_empty() {
            return;
        }
        let bench = self.bench.clone();
        let flows = due.iter().map(|due| due.flow).collect();
        let span = traces::sitting(due.len());
        let sitting = async move {
            let outcome = bench.sit(due).await;
            if let Err(error) = &outcome {
                traces::failed(&Span::current(), error);
            }
            Sitting { gathered, outcome }
        };
        let sitting = self.sittings.spawn(sitting.instrument(span));
        self.seated.insert(sitting.id(), flows);
    }

    fn later(&mut self, flows: &[i64]) {
        let now = Instant::now();
        for flow in flows {
            self.docket.retry(*flow, now);
        }
    }

    /// A sitting over these flows is over.
    fn conclude(&mut self, flows: &[i64], sitting: Sitting) {
        let judged = match sitting.outcome {
            Ok(judged) => judged,
            Err(error) => {
                warn!(flows = flows.len(), "flows are judged later: {error}");
                return self.later(flows);
            }
        };
        let now = Instant::now();
        for flow in flows {
            match judged.turns.get(flow) {
                Some(Turn::Taken) => {
                    let said = judged.said.get(flow).copied();
                    let said = said.unwrap_or(Said::Unsurely);
                    self.docket.judged(*flow, sitting.gathered, said);
                }
                Some(Turn::Elsewhere) => self.docket.defer(*flow, now),
                // Another collector settled it.
                None => self.docket.strike(*flow),
            }
        }
        self.enter(&judged.written.docketed, Urgency::Fresh);
        let wall = clock::wall();
        for settled in &judged.written.settled {
            meters::settled(settled);
        }
        for report in judged.written.changed {
            meters::verdict(&report, wall);
            // Nobody may be watching.
            let _ = self.watchers.send(Arc::new(report));
        }
    }
}

/// How flows that were judged together came out.
struct Sitting {
    /// When they were taken.
    gathered: Instant,
    outcome: Result<Outcome, StoreError>,
}

struct Outcome {
    /// Whose turn each flow was.
    turns: BTreeMap<i64, Turn>,
    said: HashMap<i64, Said>,
    written: Written,
}

/// What a sitting needs.
#[derive(Clone)]
struct Bench {
    store: Store,
    path: Arc<[String]>,
    inquiries: Inquiries,
    /// This collector, of those on one database.
    collector: Uuid,
}

impl Bench {
    /// Judges those of the flows that are this collector's to judge: one judges a flow at a time.
    async fn sit(&self, due: Vec<Due>) -> Result<Outcome, StoreError> {
        let flows: Vec<i64> = due.iter().map(|due| due.flow).collect();
        let claiming = self.store.claim_flows(&flows, self.collector);
        let turns = claiming.instrument(Step::Claim.span()).await?;
        let taken = |due: &Due| matches!(turns.get(&due.flow), Some(Turn::Taken));
        let due: Vec<Due> = due.into_iter().filter(taken).collect();
        Span::current().record("parallax.flows_taken", due.len());
        let (said, written) = if due.is_empty() {
            Default::default()
        } else {
            self.judge(&due).await?
        };
        Ok(Outcome {
            turns,
            said,
            written,
        })
    }

    /// Judges flows and writes the verdicts; returns how sure they are, and what is new or changed.
    async fn judge(&self, due: &[Due]) -> Result<(HashMap<i64, Said>, Written), StoreError> {
        let settling: HashMap<i64, Settling> =
            due.iter().map(|due| (due.flow, due.settling)).collect();
        let asks: Vec<Ask> = due
            .iter()
            .map(|due| Ask {
                flow: due.flow,
                moment: None,
            })
            .collect();
        let begun = Instant::now();
        let gathering = self.store.gather(&asks, &self.path);
        let gathered = gathering.instrument(Step::Gather.span()).await?;
        meters::joined(gathered.len(), begun.elapsed());
        self.inquiries.want(wanted(&gathered));
        let judging = Step::Judge.span();
        let judged = tokio::task::spawn_blocking(move || {
            let _judging = judging.entered();
            let begun = Instant::now();
            let verdicts = gathered
                .into_iter()
                .filter_map(|gathered| verdicts(gathered, &settling))
                .collect::<Vec<Verdicts>>();
            meters::judged(begun.elapsed());
            verdicts
        });
        let verdicts = match judged.await {
            Ok(verdicts) => verdicts,
            Err(error) => {
                error!("the judge ended unexpectedly: {error}");
                return Ok(Default::default());
            }
        };
        let said = verdicts.iter().map(said).collect();
        let begun = Instant::now();
        let resets: usize = verdicts.iter().map(|of_flow| of_flow.judged.len()).sum();
        let writing = self.store.write_verdicts(&verdicts);
        let written = writing.instrument(Step::Write.span()).await?;
        let sitting = Span::current();
        sitting.record("parallax.resets", resets);
        sitting.record("parallax.verdicts_changed", written.changed.len());
        meters::written(begun.elapsed());
        Ok((said, written))
    }
}

/// How sure a flow's verdicts are.
fn said(of_flow: &Verdicts) -> (i64, Said) {
    let sure = of_flow.judged.iter().all(|judged| {
        let report = &judged.report;
        report.origin != Origin::Undetermined && report.confidence >= SURE
    });
    let said = if sure { Said::Surely } else { Said::Unsurely };
    (of_flow.flow, said)
}

/// What agents may remember of flows with resets.
fn wanted(gathered: &[Gathered]) -> Vec<Wanted> {
    let mut all = Vec::new();
    for gathered in gathered {
        let read = gathered.evidence.iter().flatten();
        all.extend(read.filter_map(|one| Wanted::of(one, gathered.vantages.as_ref())));
    }
    all
}

/// Judges one flow. A flow that cannot be read, or on which the judge panics, keeps the verdicts it
/// has and must not stop the others.
fn verdicts(gathered: Gathered, settling: &HashMap<i64, Settling>) -> Option<Verdicts> {
    let flow = gathered.flow;
    let evidence = gathered
        .evidence
        .map_err(|error| error!(flow, "a flow cannot be judged: {error}"))
        .ok()?;
    let judge = || -> Vec<Judged> { evidence.iter().flat_map(judge_flow).collect() };
    let judged = std::panic::catch_unwind(AssertUnwindSafe(judge))
        .map_err(|_| error!(flow, "the judge panicked on a flow"))
        .ok()?;
    Some(Verdicts {
        flow,
        judged,
        portion: gathered.portion,
        settling: settling.get(&flow).copied().unwrap_or(Settling::Open),
        docket: gathered.docket,
        kin: gathered.kin,
        vantages: gathered.vantages,
    })
}
