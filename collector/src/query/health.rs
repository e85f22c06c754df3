//! Health of the services, by whether the database answers.

use std::time::Duration;

use parallax_proto::v1::ingest_server::IngestServer;
use parallax_proto::v1::query_server::QueryServer;
use tokio_util::sync::CancellationToken;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use super::QueryService;
use crate::ingest::IngestService;
use crate::store::Store;

/// Between two questions to the database.
const EVERY: Duration = Duration::from_secs(1);
/// A database that takes longer does not answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Tells until the collector stops; then nothing is served any more.
pub async fn tell(reporter: HealthReporter, store: Store, stop: CancellationToken) {
    loop {
        let alive = tokio::time::timeout(PATIENCE, store.is_alive()).await;
        set(&reporter, alive.unwrap_or(false)).await;
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
    set(&reporter, false).await;
}

async fn set(reporter: &HealthReporter, serving: bool) {
    let status = if serving {
        ServingStatus::Serving
    } else {
        ServingStatus::NotServing
    };
    reporter.set_service_status("", status).await;
    if serving {
        reporter.set_serving::<QueryServer<QueryService>>().await;
        reporter.set_serving::<IngestServer<IngestService>>().await;
    } else {
        reporter
            .set_not_serving::<QueryServer<QueryService>>()
            .await;
        reporter
            .set_not_serving::<IngestServer<IngestService>>()
            .await;
    }
}
