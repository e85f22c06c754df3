//! Who asks: one task per collector, fed by the judge and by the notifications of other collectors.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use parallax_core::CaptureTime;
use parallax_core::time::SECOND;
use sqlx::postgres::PgListener;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::{Instant, interval};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::wanted::Wanted;
use crate::clock;
use crate::meters;
use crate::store::{Policies, Question, Store};

/// How long agents that connect are asked too: flows settle earlier, but an agent may be away for a moment.
const PATIENCE: Duration = Duration::from_mins(1);
/// Resets that are older, by the collector's clock, are not asked about: no memory reaches so far.
const OLDEST: i64 = 900 * SECOND;
/// Questions that are open at a time; the oldest give way.
const OPEN_MAX: usize = 4096;
/// Questions a second, on average; more wait for their turn by being wanted again.
const RATE: f64 = 500.0;
/// Flows of which it is known what was asked.
const ASKED_MAX: usize = 1 << 16;
/// Questions that a slow conversation may lag behind.
const LAG: usize = 1024;
/// How often open questions and the policy are read anew, in case a notification was lost.
const REREAD: Duration = Duration::from_secs(5);

/// Where the judge hands in what it wants to know.
#[derive(Debug, Clone)]
pub struct Inquiries {
    wanted: mpsc::Sender<Vec<Wanted>>,
}

impl Inquiries {
    /// What is wanted; what finds no room is wanted again with the flow's next judgement.
    pub fn want(&self, wanted: Vec<Wanted>) {
        if !wanted.is_empty() && self.wanted.try_send(wanted).is_err() {
            debug!("questions to agents are put later: too many wait");
        }
    }
}

/// The open questions and the policy, for conversations.
#[derive(Debug, Clone)]
pub struct Questions {
    shared: Arc<Shared>,
    policies: watch::Receiver<Policies>,
}

#[derive(Debug)]
struct Shared {
    open: Mutex<Open>,
    asked: broadcast::Sender<Arc<Question>>,
}

#[derive(Debug, Default)]
struct Open {
    ids: HashSet<u64>,
    questions: VecDeque<(Instant, Arc<Question>)>,
}

impl Open {
    /// Whether the question is new.
    fn add(&mut self, question: &Arc<Question>, now: Instant) -> bool {
        self.expire(now);
        if !self.ids.insert(question.recall.id) {
            return false;
        }
        self.questions.push_back((now, Arc::clone(question)));
        true
    }

    fn expire(&mut self, now: Instant) {
        while let Some((asked, question)) = self.questions.front()
            && (now.duration_since(*asked) > PATIENCE || self.questions.len() >= OPEN_MAX)
        {
            self.ids.remove(&question.recall.id);
            self.questions.pop_front();
        }
    }
}

/// Where questions are put up, for every conversation to see. Clones are the same board.
#[derive(Debug, Clone)]
pub struct Board {
    shared: Arc<Shared>,
}

impl Default for Board {
    fn default() -> Self {
        Self {
            shared: Arc::new(Shared {
                open: Mutex::default(),
                asked: broadcast::channel(LAG).0,
            }),
        }
    }
}

impl Board {
    /// What conversations draw from.
    pub fn questions(&self, policies: watch::Receiver<Policies>) -> Questions {
        Questions {
            shared: Arc::clone(&self.shared),
            policies,
        }
    }

    /// Puts up questions; those that are open already stay as they are.
    pub fn publish(&self, questions: Vec<Question>) {
        let now = Instant::now();
        for question in questions.into_iter().map(Arc::new) {
            if lock(&self.shared.open).add(&question, now) {
                // No agent may be connected.
                let _ = self.shared.asked.send(question);
            }
        }
    }

    fn holds(&self, id: u64) -> bool {
        lock(&self.shared.open).ids.contains(&id)
    }
}

impl Questions {
    /// The questions that are open now, and those that come.
    pub fn draw(&self) -> (VecDeque<Arc<Question>>, broadcast::Receiver<Arc<Question>>) {
        // In this order none is missed; one that comes twice does no harm.
        let coming = self.shared.asked.subscribe();
        let mut open = lock(&self.shared.open);
        open.expire(Instant::now());
        let now = open
            .questions
            .iter()
            .map(|(_, question)| Arc::clone(question));
        (now.collect(), coming)
    }

    /// The policy, and its changes.
    pub fn policies(&self) -> watch::Receiver<Policies> {
        self.policies.clone()
    }
}

fn lock(open: &Mutex<Open>) -> MutexGuard<'_, Open> {
    // A panic in between would leave at worst a question that is asked twice.
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The task's state.
pub struct Inquirer {
    store: Store,
    wanted: mpsc::Receiver<Vec<Wanted>>,
    board: Board,
    policies: watch::Sender<Policies>,
    asked: HashMap<i64, (Instant, Wanted)>,
    /// Questions that may be put at once, and when that was counted.
    allowance: (f64, Instant),
}

impl Inquirer {
    pub fn new(store: Store) -> (Self, Inquiries, Questions) {
        let (wanted, receiver) = mpsc::channel(64);
        let (policies, policy) = watch::channel(Policies::default());
        let board = Board::default();
        let questions = board.questions(policy);
        let inquirer = Self {
            store,
            wanted: receiver,
            board,
            policies,
            asked: HashMap::new(),
            allowance: (RATE, Instant::now()),
        };
        (inquirer, Inquiries { wanted }, questions)
    }

    /// Asks until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut reread = interval(REREAD);
        let mut listener = None;
        loop {
            if listener.is_none() {
                listener = self.listen().await;
            }
            tokio::select! {
                () = stop.cancelled() => return,
                wanted = self.wanted.recv() => match wanted {
                    Some(wanted) => self.ask(wanted).await,
                    None => return,
                },
                heard = hear(&mut listener), if listener.is_some() => match heard {
                    Some(Heard::Question(id)) => self.take_up(id).await,
                    Some(Heard::Policy) => self.read_policies().await,
                    None => listener = None,
                },
                _ = reread.tick() => {
                    self.take_up(None).await;
                    self.read_policies().await;
                }
            }
        }
    }

    async fn listen(&self) -> Option<PgListener> {
        let mut listener = PgListener::connect_with(self.store.pool()).await.ok()?;
        let channels = ["parallax_recall", "parallax_policy"];
        listener.listen_all(channels).await.ok()?;
        Some(listener)
    }

    async fn ask(&mut self, wanted: Vec<Wanted>) {
        let (now, wall) = (Instant::now(), clock::wall());
        let asked: Vec<Wanted> = wanted
            .into_iter()
            .filter_map(|wanted| self.unasked(wanted, now, wall))
            .collect();
        if asked.is_empty() {
            return;
        }
        let rows: Vec<_> = asked.iter().map(Wanted::question).collect();
        match self.store.ask_agents(&rows, PATIENCE).await {
            Ok(questions) => {
                meters::asked(questions.len());
                for wanted in asked {
                    self.asked.insert(wanted.flow, (now, wanted));
                }
                self.board.publish(questions);
            }
            // They are wanted again when their flows are judged again.
            Err(error) => warn!("agents are not asked for what they remember: {error}"),
        }
    }

    /// What is to be asked, with what was asked before.
    fn unasked(&mut self, mut wanted: Wanted, now: Instant, wall: CaptureTime) -> Option<Wanted> {
        if wall.since(wanted.moment).saturating_abs() > OLDEST {
            return None;
        }
        if let Some((_, asked)) = self.asked.get(&wanted.flow) {
            if !wanted.adds_to(asked) {
                return None;
            }
            wanted.join(asked);
        }
        if self.asked.len() >= ASKED_MAX {
            self.asked
                .retain(|_, (at, _)| now.duration_since(*at) < PATIENCE);
        }
        (self.asked.len() < ASKED_MAX && self.spend(now)).then_some(wanted)
    }

    /// Whether one more may be asked now.
    fn spend(&mut self, now: Instant) -> bool {
        let (left, counted) = self.allowance;
        let left = (left + now.duration_since(counted).as_secs_f64() * RATE).min(RATE);
        let granted = left >= 1.0;
        self.allowance = (left - f64::from(u8::from(granted)), now);
        granted
    }

    /// Reads questions that some collector entered, one or all.
    async fn take_up(&self, id: Option<i64>) {
        if id.is_some_and(|id| self.board.holds(id.cast_unsigned())) {
            return;
        }
        match self.store.open_questions(id).await {
            Ok(questions) => self.board.publish(questions),
            Err(error) => debug!("questions are read later: {error}"),
        }
    }

    async fn read_policies(&self) {
        match self.store.policies().await {
            Ok(policies) => {
                self.policies.send_if_modified(|known| {
                    let changed = *known != policies;
                    *known = policies;
                    changed
                });
            }
            Err(error) => debug!("the policy is read later: {error}"),
        }
    }
}

enum Heard {
    /// Of this id; `None`: of one that cannot be read, so of all.
    Question(Option<i64>),
    Policy,
}

/// The next notification; `None`: the connection is gone.
async fn hear(listener: &mut Option<PgListener>) -> Option<Heard> {
    let notification = listener.as_mut()?.recv().await.ok()?;
    Some(match notification.channel() {
        "parallax_policy" => Heard::Policy,
        _ => Heard::Question(notification.payload().parse().ok()),
    })
}
