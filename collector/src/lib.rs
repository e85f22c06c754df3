//! Joins digests in Postgres and judges resets: ingest, store, judge loop, HTTP API.

pub mod audit;
pub mod clock;
pub mod enrolment;
pub mod exchange;
mod export;
pub mod gate;
pub mod herald;
pub mod http;
pub mod ingest;
pub mod judging;
pub mod lock;
pub mod meters;
pub mod post;
pub mod postgres;
mod query;
pub mod recall;
pub mod serve;
pub mod signing;
pub mod store;
pub mod traces;
pub mod web;
