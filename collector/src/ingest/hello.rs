//! What an agent says of itself, checked.

use std::net::IpAddr;

use parallax_core::{Vantage, VantageKind};
use parallax_proto::v1::{CaptureSource, Hello};
use thiserror::Error;
use uuid::Uuid;

use super::aside;
use crate::store::{NewRun, Source};

/// The longest name of a vantage, in characters.
const NAME_MAX: usize = 128;
/// The most addresses of an endpoint.
const ADDRESSES_MAX: usize = 256;
/// The longest of the texts that are for people, in octets.
const TEXT_MAX: usize = 4096;
/// The most interfaces of a run: their index is one octet.
const INTERFACES_MAX: usize = 256;

/// Why a `Hello` is refused.
#[derive(Debug, PartialEq, Eq, Error)]
pub(super) enum HelloError {
    #[error("the vantage has no name; name it with --vantage")]
    NoName,
    #[error("the vantage's name has {0} characters, more than {NAME_MAX}")]
    LongName(usize),
    #[error("the vantage's name {0:?} has a control character")]
    ControlInName(String),
    #[error("host address {index} has {octets} octets, neither 4 nor 16")]
    Address { index: usize, octets: usize },
    #[error("{0} host addresses, more than {ADDRESSES_MAX}")]
    ManyAddresses(usize),
    #[error("the run id has {0} octets, not 16")]
    RunId(usize),
    #[error("the capture source is not said")]
    Source,
    #[error("the selection of segments is not said; use an agent of this version")]
    Selection,
    #[error("{0} is longer than {TEXT_MAX} octets or has a zero octet")]
    Text(&'static str),
    #[error("{0} interfaces, more than {INTERFACES_MAX}")]
    ManyInterfaces(usize),
}

pub(super) fn check(hello: Hello) -> Result<NewRun, HelloError> {
    let octets = hello.run_id.len();
    let run_id = Uuid::from_slice(&hello.run_id).map_err(|_| HelloError::RunId(octets))?;
    let source = match hello.source() {
        CaptureSource::Live => Source::Live,
        CaptureSource::File => Source::File,
        CaptureSource::Unspecified => return Err(HelloError::Source),
    };
    let selection =
        aside::selection(hello.selection(), hello.sample_one_in).ok_or(HelloError::Selection)?;
    if hello.interfaces.len() > INTERFACES_MAX {
        return Err(HelloError::ManyInterfaces(hello.interfaces.len()));
    }
    for interface in &hello.interfaces {
        check_text("an interface's name", interface)?;
    }
    check_text("the filter", &hello.filter)?;
    check_text("the agent's version", &hello.agent_version)?;
    Ok(NewRun {
        vantage: Vantage {
            name: check_name(hello.vantage)?,
            kind: check_addresses(&hello.host_addresses)?,
        },
        run_id,
        source,
        selection,
        agent_version: hello.agent_version,
        interfaces: hello.interfaces,
        filter: hello.filter,
        snaplen: hello.snaplen,
    })
}

fn check_name(name: String) -> Result<String, HelloError> {
    let characters = name.chars().count();
    if characters == 0 {
        return Err(HelloError::NoName);
    }
    if characters > NAME_MAX {
        return Err(HelloError::LongName(characters));
    }
    if name.chars().any(char::is_control) {
        return Err(HelloError::ControlInName(name));
    }
    Ok(name)
}

fn check_addresses(addresses: &[Vec<u8>]) -> Result<VantageKind, HelloError> {
    if addresses.is_empty() {
        return Ok(VantageKind::Hop);
    }
    if addresses.len() > ADDRESSES_MAX {
        return Err(HelloError::ManyAddresses(addresses.len()));
    }
    let checked: Result<Vec<IpAddr>, HelloError> = addresses
        .iter()
        .enumerate()
        .map(|(index, octets)| {
            if let Ok(v4) = <[u8; 4]>::try_from(octets.as_slice()) {
                Ok(IpAddr::from(v4))
            } else if let Ok(v6) = <[u8; 16]>::try_from(octets.as_slice()) {
                Ok(IpAddr::from(v6))
            } else {
                Err(HelloError::Address {
                    index,
                    octets: octets.len(),
                })
            }
        })
        .collect();
    Ok(VantageKind::Host {
        addresses: checked?,
    })
}

/// Postgres's text holds no zero octet.
fn check_text(what: &'static str, text: &str) -> Result<(), HelloError> {
    if text.len() > TEXT_MAX || text.contains('\0') {
        return Err(HelloError::Text(what));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use parallax_proto::v1::SegmentSelection;

    use super::*;

    fn hello() -> Hello {
        Hello {
            vantage: "fw-in".to_owned(),
            run_id: vec![7; 16],
            source: CaptureSource::Live.into(),
            selection: SegmentSelection::Context.into(),
            ..Hello::default()
        }
    }

    #[test]
    fn a_vantage_without_addresses_is_a_hop_and_with_them_a_host() {
        assert_eq!(check(hello()).unwrap().vantage.kind, VantageKind::Hop);
        let mut host = hello();
        host.host_addresses = vec![vec![192, 0, 2, 1], [0; 16].to_vec()];
        let run = check(host).unwrap();
        assert!(run.vantage.is_host_of("192.0.2.1".parse().unwrap()));
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        let refuse = |change: fn(&mut Hello)| {
            let mut hello = hello();
            change(&mut hello);
            check(hello).unwrap_err()
        };
        assert_eq!(refuse(|h| h.vantage.clear()), HelloError::NoName);
        assert_eq!(
            refuse(|h| h.vantage = "x".repeat(129)),
            HelloError::LongName(129)
        );
        assert!(matches!(
            refuse(|h| h.vantage = "a\nb".into()),
            HelloError::ControlInName(_)
        ));
        assert_eq!(refuse(|h| h.run_id = vec![1]), HelloError::RunId(1));
        assert_eq!(refuse(|h| h.selection = 0), HelloError::Selection);
        assert_eq!(refuse(|h| h.source = 9), HelloError::Source);
        let refused = refuse(|h| h.host_addresses = vec![vec![1; 5]]);
        assert_eq!(
            refused,
            HelloError::Address {
                index: 0,
                octets: 5
            }
        );
    }
}
