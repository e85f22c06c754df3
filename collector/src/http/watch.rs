//! Verdicts as they come: server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use parallax_core::report::ResetReport;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

use super::Api;

const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// Events that wait for a slow reader before the broadcast's own lag begins to count.
const EVENTS_WAITING: usize = 16;

type Events = mpsc::Sender<Result<Event, Infallible>>;

/// A stream of events, each a verdict that is new or changed.
pub(super) async fn watch(State(api): State<Api>) -> impl IntoResponse {
    let (events, stream) = mpsc::channel(EVENTS_WAITING);
    tokio::spawn(forward(api.watchers.subscribe(), events, api.stop.clone()));
    Sse::new(ReceiverStream::new(stream)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
}

async fn forward(
    mut verdicts: Receiver<Arc<ResetReport>>,
    events: Events,
    stop: CancellationToken,
) {
    loop {
        let verdict = tokio::select! {
            () = stop.cancelled() => return,
            () = events.closed() => return,
            verdict = verdicts.recv() => verdict,
        };
        let event = match verdict {
            Ok(report) => match Event::default().json_data(&*report) {
                Ok(event) => event,
                Err(error) => {
                    tracing::error!("a verdict cannot be shown: {error}");
                    continue;
                }
            },
            Err(RecvError::Lagged(missed)) => {
                Event::default().comment(format!("{missed} verdicts were left out"))
            }
            Err(RecvError::Closed) => return,
        };
        if events.send(Ok(event)).await.is_err() {
            return;
        }
    }
}
