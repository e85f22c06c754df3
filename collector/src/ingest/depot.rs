//! What streams want of the database.

use parallax_core::{CaptureTime, ExchangedClock};
use parallax_proto::testimony::Told;
use uuid::Uuid;

use crate::store::{Loaded, NewRun, Portion, RegisterError, Registered, Store, StoreError};

/// Where conversations and loaders put what agents say: [`Store`], or what keeps its promises.
///
/// - [`load`](Self::load) is one transaction: all of it is durable when it answers, or nothing of it is
///   (an error may mean either), and a digest below its run's watermark is known and dropped.
/// - Two loads that concern one run follow each other.
#[tonic::async_trait]
pub trait Depot: Send + Sync {
    /// As [`Store::register`].
    async fn register(&self, run: &NewRun) -> Result<Registered, RegisterError>;
    /// As [`Store::open_stream`].
    async fn open_stream(
        &self,
        run: Registered,
        run_id: Uuid,
        collector: Uuid,
    ) -> Result<bool, StoreError>;
    /// As [`Store::close_stream`].
    async fn close_stream(
        &self,
        run: Registered,
        run_id: Uuid,
        collector: Uuid,
    ) -> Result<(), StoreError>;
    /// As [`Store::load`].
    async fn load(&self, portions: &[&Portion]) -> Result<Loaded, StoreError>;
    /// As [`Store::testify`].
    async fn testify(&self, run: Registered, told: &Told) -> Result<Vec<i64>, StoreError>;
    /// As [`Store::note_clock`].
    async fn note_clock(&self, run: Registered, clock: ExchangedClock) -> Result<(), StoreError>;
    /// As [`Store::span_of_run`].
    async fn span_of_run(&self, id: i32) -> Result<Option<(CaptureTime, CaptureTime)>, StoreError>;
}

#[tonic::async_trait]
impl Depot for Store {
    async fn register(&self, run: &NewRun) -> Result<Registered, RegisterError> {
        self.register(run).await
    }

    async fn open_stream(
        &self,
        run: Registered,
        run_id: Uuid,
        collector: Uuid,
    ) -> Result<bool, StoreError> {
        self.open_stream(run, run_id, collector).await
    }

    async fn close_stream(
        &self,
        run: Registered,
        run_id: Uuid,
        collector: Uuid,
    ) -> Result<(), StoreError> {
        self.close_stream(run, run_id, collector).await
    }

    async fn load(&self, portions: &[&Portion]) -> Result<Loaded, StoreError> {
        self.load(portions).await
    }

    async fn testify(&self, run: Registered, told: &Told) -> Result<Vec<i64>, StoreError> {
        self.testify(run, told).await
    }

    async fn note_clock(&self, run: Registered, clock: ExchangedClock) -> Result<(), StoreError> {
        self.note_clock(run, clock).await
    }

    async fn span_of_run(&self, id: i32) -> Result<Option<(CaptureTime, CaptureTime)>, StoreError> {
        self.span_of_run(id).await
    }
}
