//! Who is who between agents, collector and people.
//!
//! An [`Authority`] signs the collector's certificate and, against a one-time [`token`], the short-lived ones of
//! agents, which name their vantages ([`Bearer`]). [`tls`] makes rustls configurations of the files, anew whenever
//! the files change. No clock is read here: times are seconds since the Unix epoch, given by the caller.

mod authority;
mod bearer;
mod error;
pub mod files;
mod request;
pub mod secret;
pub mod tls;
pub mod token;

pub use authority::{Authority, Issued, SERVER_DAYS, pem_of};
pub use bearer::Bearer;
pub use error::IdentityError;
pub use request::Request;
