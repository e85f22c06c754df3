//! Calling collectors, one after another, until one answers.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::connection::{self, Connection};
use super::failure::{Broken, StreamError};
use super::{Courier, Pressure};

impl Courier {
    /// The next attempt goes to the next collector.
    pub(super) fn next_collector(&mut self) {
        self.turn = (self.turn + 1) % self.addresses.len().max(1);
        if let Some(url) = self.delivery.collectors.get(self.turn) {
            self.parties.url.clone_from(url);
        }
    }

    /// Whether another collector may take what this one refuses: it may not know yet that the other stream
    /// of this vantage is gone.
    fn may_try_others(&self, error: &StreamError) -> bool {
        let others = self.addresses.len() > 1;
        others && matches!(error, StreamError::NotACollector { .. })
    }

    /// Tries until there is a connection; none when the time for that is over.
    pub(super) async fn connect(&mut self) -> Result<Option<Connection>, StreamError> {
        let since = Instant::now();
        for attempt in 0.. {
            let opening = connection::open(
                self.addresses[self.turn].clone(),
                self.hello(),
                self.parties.clone(),
                (
                    self.delivery.outside.clone(),
                    Arc::clone(&self.delivery.meter),
                ),
            );
            let reason = match self.meanwhile(opening).await {
                None => return Ok(None),
                Some(Ok(connection)) => return self.welcome(connection).map(Some),
                Some(Err(Broken::Fatal(error))) if self.may_try_others(&error) => error.to_string(),
                Some(Err(Broken::Fatal(error))) => return Err(error),
                Some(Err(Broken::Lost(reason))) => reason,
            };
            let left = self.bear(since, attempt, reason)?;
            self.next_collector();
            // A pause only after each of them was tried.
            if self.turn != 0 {
                continue;
            }
            let pause = tokio::time::sleep(
                self.backoff
                    .failed(self.delivery.outside.chance())
                    .min(left),
            );
            if self.meanwhile(pause).await.is_none() {
                return Ok(None);
            }
        }
        Ok(None)
    }

    /// A failed attempt: a live capture says so once, a bounded one fails when its time is over.
    /// Returns the time that is left.
    fn bear(&self, since: Instant, attempt: u32, reason: String) -> Result<Duration, StreamError> {
        let url = &self.parties.url;
        debug!("attempt {attempt} to reach {url}: {reason}");
        match self.delivery.pressure {
            Pressure::Block { give_up } => match give_up.checked_sub(since.elapsed()) {
                Some(left) if !left.is_zero() => Ok(left),
                _ => Err(self.parties.unreachable(reason)),
            },
            Pressure::Lose { .. } => {
                if attempt == 0 {
                    warn!(
                        "cannot reach a collector at {url}: {reason}; \
                         trying on, digests are kept meanwhile"
                    );
                }
                Ok(Duration::MAX)
            }
        }
    }

    fn welcome(&mut self, connection: Connection) -> Result<Connection, StreamError> {
        info!(
            "connected to the collector at {} (version {}), which holds {} digests of this run",
            self.parties.url, connection.collector_version, connection.committed
        );
        let resumed = self.current().resume(connection.committed);
        resumed.map_err(|error| self.parties.contradiction(error))?;
        self.ledger.send_again();
        self.tell();
        Ok(connection)
    }
}
