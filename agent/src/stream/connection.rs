//! One connection: from the address to the collector's `Welcome`.

use std::sync::Arc;
use std::time::Duration;

use parallax_proto::v1::ingest_client::IngestClient;
use parallax_proto::v1::{AgentMessage, CollectorMessage, Hello, agent_message, collector_message};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::{Endpoint, Uri};

use super::failure::{Broken, Parties, StreamError, innermost};
use super::link::Link;
use super::outside::Outside;
use super::wire::Words;
use crate::meter::Meter;
use crate::trust::{Speech, Trust};

/// Longest wait for a TCP connection, and for the collector's first answer over it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Messages that wait to be written. Few: what is in here cannot be overtaken by a reset.
const IN_FLIGHT: usize = 4;

/// An open stream.
pub(super) struct Connection {
    pub outgoing: mpsc::Sender<AgentMessage>,
    pub words: Words,
    pub incoming: Streaming<CollectorMessage>,
    /// The number from which on the collector wants digests.
    pub committed: u64,
    pub collector_version: String,
}

/// A collector, and how to speak to it.
#[derive(Debug, Clone)]
pub(super) struct Address {
    uri: Uri,
    link: Link,
    patience: Duration,
}

/// Where the collector listens; a TCP connection is waited for no longer than `patience`.
pub(super) fn address(
    url: &str,
    patience: Duration,
    trust: &Trust,
) -> Result<Address, StreamError> {
    let bad = |reason: String| StreamError::BadUrl {
        url: url.to_owned(),
        reason,
    };
    let endpoint = Endpoint::from_shared(url.to_owned()).map_err(|error| bad(innermost(&error)))?;
    let uri = endpoint.uri().clone();
    let link = match (trust.speech(&uri).map_err(bad)?, &trust.files) {
        (Speech::Tls, Some(files)) => Link::Files(files.clone()),
        _ => Link::Plain,
    };
    Ok(Address {
        uri,
        link,
        patience: patience.min(PATIENCE),
    })
}

/// Connects, says hello, and waits for the welcome.
pub(super) async fn open(
    address: Address,
    hello: Hello,
    parties: Parties,
    (outside, meter): (Outside, Arc<Meter>),
) -> Result<Connection, Broken> {
    let greeting = greet(address, hello, &parties, (outside, meter));
    match tokio::time::timeout(2 * PATIENCE, greeting).await {
        Ok(result) => result,
        Err(_) => Err(Broken::Lost(format!(
            "no answer within {} s",
            2 * PATIENCE.as_secs()
        ))),
    }
}

async fn greet(
    address: Address,
    hello: Hello,
    parties: &Parties,
    (outside, meter): (Outside, Arc<Meter>),
) -> Result<Connection, Broken> {
    let Address {
        uri,
        link,
        patience,
    } = address;
    let channel = link
        .channel(uri, patience, (outside, meter))
        .await
        .map_err(|error| Broken::Lost(innermost(&error)))?;
    let mut client = IngestClient::new(channel);
    let (outgoing, queue) = mpsc::channel(IN_FLIGHT);
    let hello = AgentMessage {
        message: Some(agent_message::Message::Hello(hello)),
    };
    // The queue is new and empty: there is room.
    let _ = outgoing.try_send(hello);
    let mut incoming = client
        .stream(ReceiverStream::new(queue))
        .await
        .map_err(|status| parties.judge(&status))?
        .into_inner();
    let first = incoming
        .message()
        .await
        .map_err(|status| parties.judge(&status))?;
    match first.and_then(|message| message.message) {
        Some(collector_message::Message::Welcome(welcome)) => Ok(Connection {
            outgoing,
            incoming,
            words: Words::new(&welcome),
            committed: welcome.committed,
            collector_version: welcome.collector_version,
        }),
        Some(_) => Err(Broken::Fatal(StreamError::NotACollector {
            url: parties.url.clone(),
            reason: "it does not answer `Hello` with `Welcome`".to_owned(),
        })),
        None => Err(Broken::Lost("it closed the stream at once".to_owned())),
    }
}
