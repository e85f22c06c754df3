//! Values of options: how they are written, and what is refused.

use std::net::IpAddr;
use std::path::PathBuf;

use parallax_core::Selection;
use parallax_core::sampling::SelectionError;

use crate::ids::TypedId;

/// A capture file and the vantage it was taken at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    pub vantage: String,
    /// `-` is standard input.
    pub file: PathBuf,
}

/// A vantage that runs on an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    pub vantage: String,
    pub addresses: Vec<IpAddr>,
}

/// Two neighbouring places of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Between(pub String, pub String);

/// Which resets to explain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    All,
    One(TypedId),
}

/// What agents are to ship.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ordered {
    /// What the agent was started with.
    Own,
    Segments(Selection),
}

/// The protocol's bound on a vantage's name.
const NAME_MAX: usize = 128;

pub(super) fn vantage_name(text: &str) -> Result<String, String> {
    if text.is_empty() || text.chars().count() > NAME_MAX {
        return Err(format!("a vantage's name has 1 to {NAME_MAX} characters"));
    }
    if text.chars().any(|c| c.is_control() || c == ',' || c == '=') {
        return Err("a vantage's name has no comma, equals sign or control character".to_owned());
    }
    Ok(text.to_owned())
}

pub(super) fn input(text: &str) -> Result<Input, String> {
    let (name, file) = text
        .split_once('=')
        .filter(|(_, file)| !file.is_empty())
        .ok_or("expected NAME=FILE, for instance client=client.pcap")?;
    Ok(Input {
        vantage: vantage_name(name)?,
        file: file.into(),
    })
}

pub(super) fn host(text: &str) -> Result<Host, String> {
    let (name, addresses) = text
        .split_once('=')
        .ok_or("expected NAME=ADDR[,ADDR…], for instance client=192.0.2.7")?;
    let addresses = addresses
        .split(',')
        .map(|addr| {
            addr.parse()
                .map_err(|_| format!("\"{addr}\" is no IPv4 or IPv6 address"))
        })
        .collect::<Result<_, _>>()?;
    Ok(Host {
        vantage: vantage_name(name)?,
        addresses,
    })
}

pub(super) fn between(text: &str) -> Result<Between, String> {
    let (a, b) = text
        .split_once(',')
        .ok_or("expected two vantages, for instance fw-out,fw-in")?;
    Ok(Between(vantage_name(a)?, vantage_name(b)?))
}

pub(super) fn ordered(text: &str) -> Result<Ordered, String> {
    match text {
        "own" => Ok(Ordered::Own),
        segments => segments
            .parse()
            .map(Ordered::Segments)
            .map_err(|error: SelectionError| error.to_string()),
    }
}

pub(super) fn wanted(text: &str) -> Result<Wanted, String> {
    match text {
        "all" => Ok(Wanted::All),
        id => TypedId::parse(id).map(Wanted::One),
    }
}
