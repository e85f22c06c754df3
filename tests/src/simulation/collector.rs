//! A collector as the simulation runs it: the real ingest service over the virtual wire, and what stands beside it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use parallax_collector::ingest::{Depot, IngestService, Loader, Parts, Registry};
use parallax_collector::judging::Court;
use parallax_collector::recall::Board;
use parallax_collector::store::Policies;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{interval, sleep};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;

use super::cable::Exchange;
use super::database::{Database, Line};

/// As the collector says that it lives.
const LIVES_EACH: Duration = Duration::from_secs(2);
/// As it reads open questions anew.
const REREAD: Duration = Duration::from_secs(5);

/// One of several, which may die and come back.
pub struct Collector {
    index: usize,
    database: Database,
    exchange: Exchange,
    life: Arc<Mutex<Option<Life>>>,
    /// Those that wait to come back.
    comings: JoinSet<()>,
}

/// From a start to a death.
struct Life {
    alive: CancellationToken,
    _tasks: JoinSet<()>,
}

impl Collector {
    pub fn start(index: usize, database: &Database, exchange: &Exchange) -> Self {
        Self {
            index,
            database: database.clone(),
            exchange: exchange.clone(),
            life: Arc::new(Mutex::new(Some(live(index, database, exchange)))),
            comings: JoinSet::new(),
        }
    }

    /// Dies, and comes back after a time.
    pub fn die(&mut self, away: Duration) {
        let mut held = self.life.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(dead) = held.take() else {
            // It is dead, and comes back by itself.
            return;
        };
        dead.alive.cancel();
        self.exchange.hang_up(self.index);
        self.database.collector_died();
        let life = Arc::clone(&self.life);
        let (index, database, exchange) =
            (self.index, self.database.clone(), self.exchange.clone());
        self.comings.spawn(async move {
            sleep(away).await;
            let new = live(index, &database, &exchange);
            *life.lock().unwrap_or_else(PoisonError::into_inner) = Some(new);
        });
    }
}

fn live(index: usize, database: &Database, exchange: &Exchange) -> Life {
    let alive = CancellationToken::new();
    let mut tasks = JoinSet::new();
    let line = Line::new(database, alive.clone());
    let id = line.collector;
    let depot: Arc<dyn Depot> = Arc::new(line);
    let court = Court::without_judge();
    let (loader, loaders) = Loader::start(&depot, &court);
    let registry = Registry::default();
    let board = Board::default();
    let (policy, policies) = watch::channel(Policies::default());
    let (reference, no_reference) = watch::channel(None);
    let service = IngestService::new(
        Parts {
            store: depot,
            registry: registry.clone(),
            audit: None,
            loader,
            court,
            questions: board.questions(policies),
            collector: id,
            reference: no_reference,
        },
        CancellationToken::new(),
    );
    let incoming = UnboundedReceiverStream::new(exchange.listen(index));
    tasks.spawn(async move {
        let _held = (loaders, policy, reference);
        let server = Server::builder().add_service(service.into_server());
        // It ends when the collector does.
        let _ = server.serve_with_incoming(incoming).await;
    });
    let database = database.clone();
    tasks.spawn(async move {
        let (mut lives, mut reread) = (interval(LIVES_EACH), interval(REREAD));
        let mut told = database.told();
        loop {
            tokio::select! {
                _ = lives.tick() => database.keep_streams(id, &registry.names()),
                _ = reread.tick() => board.publish(database.open_questions()),
                told = told.changed() => match told {
                    Ok(()) => board.publish(database.open_questions()),
                    Err(_) => return,
                },
            }
        }
    });
    Life {
        alive,
        _tasks: tasks,
    }
}
