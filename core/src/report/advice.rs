//! What would decide a verdict, for programs.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// Which vantage would decide a verdict. It is one that exists (`vantage`), or a new one between two places or
/// on a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advice {
    pub role: Role,
    /// The vantage that has to be repaired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vantage: Option<String>,
    /// Between these vantages, from the claimed sender's side; `None` inside: beyond the outermost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub between: Option<[Option<String>; 2]>,
    /// On the host with this address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<IpAddr>,
    pub why: String,
    /// All of it in words.
    pub text: String,
}

/// What a vantage would have to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// It runs on an endpoint.
    Host,
    /// It sees traffic pass.
    Hop,
    /// It reads what the kernel of an endpoint says of its own resets.
    Witness,
}
