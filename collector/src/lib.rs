//! Joins digests in Postgres and judges resets: ingest, store, judge loop, HTTP API.

pub mod clock;
pub mod lock;
pub mod postgres;
pub mod store;
