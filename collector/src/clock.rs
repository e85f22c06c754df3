//! The one place where the collector reads the wall clock.

use parallax_core::CaptureTime;

/// Nanoseconds since the Unix epoch by this machine's clock.
#[expect(
    clippy::disallowed_methods,
    reason = "the edge: everything else gets the time as an argument"
)]
pub fn wall() -> CaptureTime {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    CaptureTime::from_nanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

/// How often the database's clock is compared with this machine's.
const COMPARED_EACH: std::time::Duration = std::time::Duration::from_secs(10);

/// Compares this machine's clock with the database's until `stop`. It tells this clock minus the database's;
/// nothing until that is known.
pub async fn compare(
    store: crate::store::Store,
    told: tokio::sync::watch::Sender<Option<crate::exchange::Offset>>,
    stop: tokio_util::sync::CancellationToken,
) {
    let mut turns = tokio::time::interval(COMPARED_EACH);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = turns.tick() => {}
        }
        if let Some(offset) = against_database(&store).await {
            told.send_replace(Some(offset));
        }
    }
}

/// The best of some questions.
async fn against_database(store: &crate::store::Store) -> Option<crate::exchange::Offset> {
    /// The database's clock counts microseconds.
    const RESOLUTION: i64 = 1000;
    let mut best: Option<crate::exchange::Offset> = None;
    for _ in 0..4 {
        let before = wall();
        let there = store.clock().await.ok()?;
        let took = wall().since(before);
        let offset = crate::exchange::Offset {
            nanos: before.plus(took / 2).since(there),
            error: took / 2 + RESOLUTION,
        };
        if took >= 0 && best.is_none_or(|best| offset.error < best.error) {
            best = Some(offset);
        }
    }
    best
}
