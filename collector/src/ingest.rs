//! Digests from agents: one stream per run, gathered by one loader into few transactions.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use parallax_core::time::SECOND;
use parallax_proto::v1::ingest_server::{Ingest, IngestServer};
use parallax_proto::v1::{AgentMessage, CollectorMessage};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::codec::CompressionEncoding;
use tonic::{Request, Response, Status, Streaming};
use tracing::Instrument as _;
use uuid::Uuid;

use crate::audit::Audit;
use crate::clock;
use crate::exchange::Offset;
use crate::gate::Caller;
use crate::judging::Court;
use crate::recall::Questions;
use crate::traces;

mod aside;
mod beat;
mod conversation;
mod depot;
mod hello;
mod inquiry;
mod loader;
mod loss;
mod registry;
mod testimony;

pub use depot::Depot;
pub use loader::Loader;
pub use registry::Registry;

/// The largest message that is read: a full batch of incompressible digests is a third of this.
const MESSAGE_MAX: usize = 32 << 20;
/// Answers that wait for a slow agent.
const ANSWERS_MAX: usize = 16;

/// The gRPC service.
#[derive(Clone)]
pub struct IngestService {
    shared: Arc<Shared>,
}

/// What conversations work with.
pub struct Parts {
    pub store: Arc<dyn Depot>,
    pub registry: Registry,
    /// Where refusals are written; `None`: nowhere.
    pub audit: Option<Audit>,
    pub loader: Loader,
    pub court: Court,
    pub questions: Questions,
    /// This collector, of those on one database.
    pub collector: Uuid,
    /// This machine's clock minus the database's.
    pub reference: watch::Receiver<Option<Offset>>,
}

struct Shared {
    parts: Parts,
    stop: CancellationToken,
}

impl std::ops::Deref for Shared {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.parts
    }
}

impl IngestService {
    /// A service whose streams end when `stop` is cancelled.
    pub fn new(parts: Parts, stop: CancellationToken) -> Self {
        Self {
            shared: Arc::new(Shared { parts, stop }),
        }
    }

    /// As a tower service.
    pub fn into_server(self) -> IngestServer<Self> {
        IngestServer::new(self)
            .max_decoding_message_size(MESSAGE_MAX)
            .accept_compressed(CompressionEncoding::Zstd)
    }
}

/// How long the caller's certificate is still good, if it has one.
fn good_for(caller: &Caller) -> Option<Duration> {
    let until = caller.bearer.as_ref()?.until;
    let left = until.saturating_sub(clock::wall().nanos().div_euclid(SECOND));
    Some(Duration::from_secs(u64::try_from(left).unwrap_or(0)))
}

fn expired() -> Status {
    Status::unauthenticated("the certificate has expired; connect with a new one")
}

type Answers = Pin<Box<dyn tokio_stream::Stream<Item = Result<CollectorMessage, Status>> + Send>>;

#[tonic::async_trait]
impl Ingest for IngestService {
    type StreamStream = Answers;

    async fn stream(
        &self,
        request: Request<Streaming<AgentMessage>>,
    ) -> Result<Response<Answers>, Status> {
        let (answers, receiver) = mpsc::channel(ANSWERS_MAX);
        let shared = Arc::clone(&self.shared);
        let caller = request.extensions().get::<Caller>().cloned();
        let span = traces::agent_stream();
        tokio::spawn(async move {
            let good_for = caller.as_ref().and_then(good_for);
            let conversing =
                conversation::converse(&shared, caller.as_ref(), request.into_inner(), &answers)
                    .instrument(span.clone());
            let conversed = match good_for {
                None => conversing.await,
                Some(good_for) => tokio::time::timeout(good_for, conversing)
                    .await
                    .unwrap_or_else(|_| Err(expired())),
            };
            if let Err(status) = conversed {
                traces::failed(&span, &status.message());
                tracing::debug!(code = ?status.code(), "stream refused: {}", status.message());
                // An agent that is gone needs no refusal.
                let _ = answers.send(Err(status)).await;
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}
