//! One reset told from all its evidence.

use parallax_core::FlowEvidence;
use uuid::Uuid;

use super::Api;
use crate::store::StoreError;

/// Why a reset is not told.
#[derive(Debug)]
pub enum Untold {
    Unknown,
    Store(StoreError),
    /// The judge panicked; the log says more.
    Judge,
}

impl From<StoreError> for Untold {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Gathers a reset's evidence and has it told. `tell` knows nothing of evidence without that reset.
pub async fn told<T: Send + 'static>(
    api: &Api,
    id: Uuid,
    tell: impl Fn(&FlowEvidence) -> Option<T> + Send + 'static,
) -> Result<T, Untold> {
    let ask = api.store.find_reset(id).await?.ok_or(Untold::Unknown)?;
    let mut evidence = Vec::new();
    for gathered in api.store.gather(&[ask], &api.path).await? {
        evidence.extend(gathered.evidence.map_err(StoreError::from)?);
    }
    let told = tokio::task::spawn_blocking(move || evidence.iter().find_map(tell));
    match told.await {
        Ok(told) => told.ok_or(Untold::Unknown),
        Err(error) => {
            tracing::error!("the judge failed on reset {id}: {error}");
            Err(Untold::Judge)
        }
    }
}
