//! What administrators see.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// Refusals and administrative acts, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditDocument {
    pub schema: u32,
    pub entries: Vec<AuditEntry>,
}

/// What happened so many times within a minute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Rises; `before` of a question takes it.
    pub id: i64,
    /// When it happened first and last, RFC 3339.
    pub time: String,
    pub last: String,
    /// `user:NAME`, `certificate:SUBJECT`, `proxy:ADDRESS`, `local` or `unknown`.
    pub who: String,
    /// Where the connection came from.
    pub from: Option<IpAddr>,
    pub act: String,
    /// To what: a vantage, a person, an address.
    pub object: String,
    /// `done`, `refused`, or `warned`: let pass though it should not be so.
    pub outcome: String,
    pub reason: String,
    pub count: u64,
}

/// Who may do what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeopleDocument {
    pub schema: u32,
    pub people: Vec<Person>,
}

/// Somebody with a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    pub name: String,
    /// `viewer`, `operator` or `admin`.
    pub role: String,
}

/// A token, shown this once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret {
    pub schema: u32,
    pub secret: String,
}
