//! What a collector does every now and then.

use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uuid::Uuid;

use crate::ingest::Registry;
use crate::meters;
use crate::store::Store;

/// How often other collectors are told that this one lives.
const LIVES_EACH: Duration = Duration::from_secs(2);
/// How long that may take until the database counts as away.
const LIVES_PATIENCE: Duration = Duration::from_secs(5);
/// How often days are opened ahead, and old ones dropped.
const DAYS_EACH: Duration = Duration::from_mins(10);

/// Opens days ahead and drops what is older than it is to be kept.
pub(super) async fn keep_days(
    store: Store,
    (retention, octets): (Option<u16>, Option<u64>),
    stop: CancellationToken,
) {
    let mut turns = tokio::time::interval(DAYS_EACH);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = turns.tick() => {}
        }
        if let Err(error) = store.open_days_ahead().await {
            warn!("{error}");
        }
        if let Err(error) = store.forget_refusals().await {
            warn!("{error}");
        }
        if let Some(octets) = octets {
            match store.drop_days_above(octets).await {
                Ok(dropped) if dropped.is_empty() => {}
                Ok(dropped) => info!(
                    days = dropped.len(),
                    "dropped the oldest days for want of room"
                ),
                Err(error) => warn!("old segments are dropped later: {error}"),
            }
        }
        let Some(keep) = retention else { continue };
        match store.drop_days(keep).await {
            Ok(dropped) if dropped.is_empty() => {}
            Ok(dropped) => info!(
                days = dropped.len(),
                "dropped what is older than {keep} days"
            ),
            Err(error) => warn!("old segments are dropped later: {error}"),
        }
    }
}

/// Says every now and then that this collector lives, and whose agents it holds.
pub(super) async fn keep_streams(
    store: Store,
    registry: Registry,
    collector: Uuid,
    stop: CancellationToken,
) {
    let mut turns = tokio::time::interval(LIVES_EACH);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = turns.tick() => {}
        }
        let names = registry.names();
        let kept = timeout(LIVES_PATIENCE, store.keep_streams(collector, &names)).await;
        meters::database(matches!(kept, Ok(Ok(()))));
        match kept {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!("other collectors may take this one for dead: {error}"),
            Err(_) => {
                warn!("the database does not answer; other collectors may take this one for dead");
            }
        }
    }
}
