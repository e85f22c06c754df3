//! Who is connected: one stream at a time for a vantage.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// A stream that has been silent for so long may be taken over by another run: its agent is dead
/// and its connection does not know.
const SILENCE: Duration = Duration::from_secs(10);

/// The connected vantages. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    streams: Arc<Mutex<HashMap<String, Stream>>>,
}

#[derive(Debug)]
struct Stream {
    run_id: Uuid,
    replaced: CancellationToken,
    /// Since when its conversation waits for a message; `None`: it is busy with one.
    waits_since: Option<Instant>,
}

/// Another run of the vantage is connected.
#[derive(Debug, PartialEq, Eq)]
pub struct Busy;

/// A vantage taken by one stream; dropping it frees the vantage.
#[derive(Debug)]
pub struct Claim {
    registry: Registry,
    vantage: String,
    /// Cancelled when a newer stream took over.
    pub replaced: CancellationToken,
}

impl Registry {
    /// Takes a vantage for a stream. A newer stream of the same run replaces the older one.
    pub fn claim(&self, vantage: &str, run_id: Uuid, now: Instant) -> Result<Claim, Busy> {
        let mut streams = self.lock();
        if let Some(there) = streams.get(vantage) {
            let silent = there
                .waits_since
                .is_some_and(|since| now.duration_since(since) >= SILENCE);
            if there.run_id != run_id && !silent {
                return Err(Busy);
            }
            there.replaced.cancel();
        }
        let replaced = CancellationToken::new();
        streams.insert(
            vantage.to_owned(),
            Stream {
                run_id,
                replaced: replaced.clone(),
                waits_since: Some(now),
            },
        );
        Ok(Claim {
            registry: self.clone(),
            vantage: vantage.to_owned(),
            replaced,
        })
    }

    /// Whether an agent is connected for this vantage.
    pub fn is_connected(&self, vantage: &str) -> bool {
        self.lock().contains_key(vantage)
    }

    /// The vantages whose agents are connected.
    pub fn names(&self) -> Vec<String> {
        self.lock().keys().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Stream>> {
        // Every change is one insert or remove: a panic leaves nothing half done.
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Claim {
    /// Notes that the stream waits for a message from now on, or (`None`) that one came.
    pub fn waits(&self, since: Option<Instant>) {
        let mut streams = self.registry.lock();
        if let Some(stream) = streams.get_mut(&self.vantage)
            && !self.replaced.is_cancelled()
        {
            stream.waits_since = since;
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut streams = self.registry.lock();
        if !self.replaced.is_cancelled() {
            streams.remove(&self.vantage);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_runs_of_one_vantage_are_refused_until_the_first_falls_silent() {
        let registry = Registry::default();
        let now = Instant::now();
        let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let first = registry.claim("fw", one, now).unwrap();
        assert_eq!(registry.claim("fw", two, now).unwrap_err(), Busy);
        registry.claim("other", two, now).unwrap();
        first.waits(None);
        assert_eq!(registry.claim("fw", two, now + SILENCE).unwrap_err(), Busy);
        first.waits(Some(now));
        let second = registry.claim("fw", two, now + SILENCE).unwrap();
        assert!(first.replaced.is_cancelled());
        drop(first);
        assert!(registry.is_connected("fw"), "the older claim frees nothing");
        drop(second);
        assert!(!registry.is_connected("fw"));
    }

    #[test]
    fn the_same_run_replaces_its_older_stream() {
        let registry = Registry::default();
        let now = Instant::now();
        let first = registry.claim("fw", Uuid::from_u128(1), now).unwrap();
        let second = registry.claim("fw", Uuid::from_u128(1), now).unwrap();
        assert!(first.replaced.is_cancelled());
        assert!(!second.replaced.is_cancelled());
    }
}
