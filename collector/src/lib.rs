//! Joins digests in Postgres and judges resets: ingest, store, judge loop, HTTP API.

pub mod clock;
pub mod http;
pub mod ingest;
pub mod judging;
pub mod lock;
pub mod postgres;
pub mod serve;
pub mod store;
