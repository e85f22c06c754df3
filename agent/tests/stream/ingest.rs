//! A small collector over real gRPC: it stores in memory, in order, and breaks when it is told to.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use parallax_core::Digest;
use parallax_proto::v1::ingest_server::{Ingest, IngestServer};
use parallax_proto::v1::{
    AgentMessage, Beat, CollectorMessage, Committed, TestimonyStored, Welcome, agent_message,
    collector_message,
};
use parallax_proto::{batch, packed};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::codec::CompressionEncoding;
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};

/// What one connection brought.
#[derive(Debug, Default, Clone)]
pub struct Session {
    pub run_id: Vec<u8>,
    /// The number that the welcome named.
    pub welcomed: u64,
    /// First number and length of each batch.
    pub batches: Vec<(u64, usize)>,
    /// Messages that came packed.
    pub packed: usize,
    /// Batches with flows in columns.
    pub in_columns: usize,
    pub said_goodbye: bool,
}

/// What outlives connections and restarts, as a database does.
#[derive(Debug, Default)]
pub struct Shelf {
    pub stored: Vec<Digest>,
    /// Digests that were given up.
    pub skipped: u64,
    pub losses: Vec<parallax_proto::v1::Loss>,
    /// By `from`; a beat that comes again must be the same.
    pub beats: BTreeMap<i64, Beat>,
    pub sessions: Vec<Session>,
    /// What an agent must never do.
    pub violations: Vec<String>,
}

/// When to commit and when to break.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// Batches between commits.
    pub commit_each: usize,
    /// The first so many connections break after their third batch.
    pub break_first: usize,
    pub refuse: Option<Status>,
    /// It is of a version that knows neither packed messages nor flows in columns.
    pub old: bool,
}

#[derive(Clone)]
pub struct TestCollector {
    shelf: Arc<Mutex<Shelf>>,
    plan: Plan,
}

/// A collector that listens, in a runtime of its own, so that its connections die with it.
pub struct Running {
    pub address: SocketAddr,
    runtime: Option<Runtime>,
}

impl Running {
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Ends it at once, connections included.
    pub async fn kill(mut self) {
        let runtime = self.runtime.take();
        tokio::task::spawn_blocking(|| drop(runtime)).await.unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl TestCollector {
    pub fn new(plan: Plan) -> Self {
        Self {
            shelf: Arc::default(),
            plan,
        }
    }

    pub fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap()
    }

    /// Listens on a port of its own, or again on that of before.
    pub fn listen(&self, address: Option<SocketAddr>) -> Running {
        let address = address.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 0)));
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let service = IngestServer::new(self.clone())
            .accept_compressed(CompressionEncoding::Zstd)
            .send_compressed(CompressionEncoding::Zstd);
        let (tell, told) = std::sync::mpsc::channel();
        runtime.spawn(async move {
            let listener = TcpListener::bind(address).await.unwrap();
            tell.send(listener.local_addr().unwrap()).unwrap();
            Server::builder()
                .add_service(service)
                .serve_with_incoming(TcpListenerStream::new(listener))
                .await
                .unwrap();
        });
        Running {
            address: told.recv().unwrap(),
            runtime: Some(runtime),
        }
    }
}

#[tonic::async_trait]
impl Ingest for TestCollector {
    type StreamStream = ReceiverStream<Result<CollectorMessage, Status>>;

    async fn stream(
        &self,
        request: Request<Streaming<AgentMessage>>,
    ) -> Result<Response<Self::StreamStream>, Status> {
        if let Some(status) = &self.plan.refuse {
            return Err(status.clone());
        }
        let (answers, queue) = mpsc::channel(16);
        let conversation = Conversation {
            shelf: Arc::clone(&self.shelf),
            plan: self.plan.clone(),
            answers,
            index: 0,
            uncommitted: Vec::new(),
        };
        tokio::spawn(conversation.hold(request.into_inner()));
        Ok(Response::new(ReceiverStream::new(queue)))
    }
}

struct Conversation {
    shelf: Arc<Mutex<Shelf>>,
    plan: Plan,
    answers: mpsc::Sender<Result<CollectorMessage, Status>>,
    index: usize,
    uncommitted: Vec<Digest>,
}

enum Next {
    GoOn,
    End,
}

impl Conversation {
    async fn hold(mut self, mut incoming: Streaming<AgentMessage>) {
        while let Ok(Some(message)) = incoming.message().await {
            let Some(message) = self.unpacked(message) else {
                continue;
            };
            match self.take(message).await {
                Next::GoOn => {}
                Next::End => return,
            }
        }
    }

    fn unpacked(&self, message: AgentMessage) -> Option<agent_message::Message> {
        let Some(agent_message::Message::Packed(octets)) = message.message else {
            return message.message;
        };
        self.shelf.lock().unwrap().sessions[self.index].packed += 1;
        packed::unpack(&octets, 32 << 20).unwrap().message
    }

    async fn take(&mut self, message: agent_message::Message) -> Next {
        match message {
            agent_message::Message::Hello(hello) => {
                let welcomed = self.open(hello.run_id);
                self.answer(collector_message::Message::Welcome(Welcome {
                    committed: welcomed,
                    collector_version: "test".to_owned(),
                    accepts_packed: !self.plan.old,
                    accepts_flow_columns: !self.plan.old,
                }))
                .await;
            }
            agent_message::Message::Batch(batch) => {
                let count = self.batch(batch);
                if self.index < self.plan.break_first && count == 3 {
                    let broken = Status::unavailable("broken as planned");
                    let _ = self.answers.send(Err(broken)).await;
                    return Next::End;
                }
                if count.is_multiple_of(self.plan.commit_each.max(1)) {
                    self.commit().await;
                }
            }
            agent_message::Message::Beat(beat) => self.beat(&beat),
            agent_message::Message::Loss(loss) => self.shelf.lock().unwrap().losses.push(loss),
            agent_message::Message::Skip(skip) => self.skip(&skip),
            agent_message::Message::RecallAnswer(_)
            | agent_message::Message::ClockAnswer(_)
            | agent_message::Message::SelectionChange(_) => panic!("nobody asked"),
            agent_message::Message::Testimony(told) => {
                let stored = TestimonyStored {
                    number: told.number,
                };
                self.answer(collector_message::Message::TestimonyStored(stored))
                    .await;
            }
            agent_message::Message::Packed(_) => panic!("packed twice"),
            agent_message::Message::Goodbye(_) => {
                self.shelf.lock().unwrap().sessions[self.index].said_goodbye = true;
                self.commit().await;
                return Next::End;
            }
        }
        Next::GoOn
    }

    fn open(&mut self, run_id: Vec<u8>) -> u64 {
        let mut held = self.shelf.lock().unwrap();
        let welcomed = held.stored.len() as u64 + held.skipped;
        self.index = held.sessions.len();
        held.sessions.push(Session {
            run_id,
            welcomed,
            ..Session::default()
        });
        welcomed
    }

    /// Takes a batch in; how many that makes in this connection.
    fn batch(&mut self, batch: parallax_proto::v1::DigestBatch) -> usize {
        let first = batch.first_number;
        let in_columns = usize::from(batch.flow_columns.is_some());
        let digests = batch::decode(batch).unwrap();
        let mut held = self.shelf.lock().unwrap();
        let expected = (held.stored.len() + self.uncommitted.len()) as u64 + held.skipped;
        if first != expected {
            let violation = format!("batch from {first} on, {expected} was due");
            held.violations.push(violation);
        }
        self.uncommitted
            .extend(digests.iter().map(|(_, digest)| *digest));
        let session = &mut held.sessions[self.index];
        session.batches.push((first, digests.len()));
        session.in_columns += in_columns;
        session.batches.len()
    }

    fn skip(&mut self, skip: &parallax_proto::v1::Skip) {
        let mut held = self.shelf.lock().unwrap();
        let due = (held.stored.len() + self.uncommitted.len()) as u64 + held.skipped;
        if skip.first_number != due {
            let violation = format!("skip from {} on, {due} was due", skip.first_number);
            held.violations.push(violation);
        }
        held.skipped += skip.next_number - skip.first_number;
    }

    fn beat(&mut self, beat: &Beat) {
        let mut held = self.shelf.lock().unwrap();
        let received = (held.stored.len() + self.uncommitted.len()) as u64 + held.skipped;
        if beat.next_number > received {
            let violation = format!("beat at {}, only {received} came", beat.next_number);
            held.violations.push(violation);
        }
        if let Some(before) = held.beats.insert(beat.from, beat.clone())
            && before != *beat
        {
            let violation = format!("{before:?} came again as {beat:?}");
            held.violations.push(violation);
        }
    }

    async fn commit(&mut self) {
        let committed = {
            let mut held = self.shelf.lock().unwrap();
            held.stored.append(&mut self.uncommitted);
            held.stored.len() as u64 + held.skipped
        };
        self.answer(collector_message::Message::Committed(Committed {
            committed,
        }))
        .await;
    }

    async fn answer(&self, message: collector_message::Message) {
        let message = CollectorMessage {
            message: Some(message),
        };
        let _ = self.answers.send(Ok(message)).await;
    }
}
