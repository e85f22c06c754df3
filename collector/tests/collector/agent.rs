//! An agent's end of a stream, said message by message.

use std::time::Duration;

use parallax_core::Digest;
use parallax_proto::batch;
use parallax_proto::v1::agent_message::Message as Said;
use parallax_proto::v1::collector_message::Message as Answer;
use parallax_proto::v1::ingest_client::IngestClient;
use parallax_proto::v1::{
    AgentMessage, Beat, CaptureSource, CollectorMessage, Goodbye, Hello, SegmentSelection,
};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use crate::server::Collector;

const PATIENCE: Duration = Duration::from_secs(10);

pub struct Agent {
    says: mpsc::Sender<AgentMessage>,
    hears: Streaming<CollectorMessage>,
}

pub fn hello(vantage: &str, run: u8) -> Hello {
    Hello {
        vantage: vantage.to_owned(),
        run_id: vec![run; 16],
        source: CaptureSource::Live.into(),
        selection: SegmentSelection::All.into(),
        ..Hello::default()
    }
}

impl Agent {
    /// Connects and says hello; the watermark of the Welcome comes back too.
    pub async fn connect(collector: &Collector, hello: Hello) -> Result<(Self, u64), Status> {
        Self::connect_to(collector.url(), hello).await
    }

    /// The same, with the collector at this address; one that cannot be reached is `Unavailable`.
    pub async fn connect_to(url: String, hello: Hello) -> Result<(Self, u64), Status> {
        let client = IngestClient::connect(url).await;
        let mut client = client.map_err(|error| Status::unavailable(error.to_string()))?;
        let (says, said) = mpsc::channel(64);
        says.send(message(Said::Hello(hello))).await.unwrap();
        let hears = client.stream(ReceiverStream::new(said)).await?.into_inner();
        let mut agent = Self { says, hears };
        match agent.hear().await? {
            Some(Answer::Welcome(welcome)) => Ok((agent, welcome.committed)),
            other => panic!("no welcome but {other:?}"),
        }
    }

    pub async fn say(&self, said: Said) {
        self.say_raw(message(said)).await;
    }

    pub async fn say_raw(&self, said: AgentMessage) {
        // A refused stream is closed at the other end.
        let _ = self.says.send(said).await;
    }

    pub async fn send(&self, first: u64, digests: &[Digest]) {
        self.say(Said::Batch(batch::encode(first, digests))).await;
    }

    pub async fn beat(&self, from: i64, until: i64, next_number: u64) {
        self.say(Said::Beat(Beat {
            from,
            until,
            received: 1,
            next_number,
            ..Beat::default()
        }))
        .await;
    }

    pub async fn hear(&mut self) -> Result<Option<Answer>, Status> {
        let heard = timeout(PATIENCE, self.hears.message()).await.unwrap()?;
        Ok(heard.and_then(|heard| heard.message))
    }

    /// Waits until everything below `number` is committed.
    pub async fn committed(&mut self, number: u64) {
        loop {
            match self.hear().await.unwrap() {
                Some(Answer::Committed(committed)) if committed.committed >= number => return,
                Some(_) => {}
                None => panic!("the stream ended before {number}"),
            }
        }
    }

    /// Says goodbye and hears the last watermark.
    pub async fn goodbye(mut self) -> u64 {
        self.say(Said::Goodbye(Goodbye {})).await;
        let mut last = 0;
        while let Some(answer) = self.hear().await.unwrap() {
            if let Answer::Committed(committed) = answer {
                last = committed.committed;
            }
        }
        last
    }

    /// The status with which the stream is refused.
    pub async fn refusal(mut self) -> Status {
        loop {
            match self.hear().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("the stream ended without refusal"),
                Err(status) => return status,
            }
        }
    }
}

fn message(said: Said) -> AgentMessage {
    AgentMessage {
        message: Some(said),
    }
}
