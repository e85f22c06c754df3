//! A question's message to filters.

use std::net::IpAddr;

use parallax_core::CaptureTime;
use parallax_core::report::{self, Cause};
use parallax_proto::v1::{Between, ListResetsRequest, Origin};
use tonic::Status;

use crate::store::{Cursor, Filters, Place};

const PAGE_DEFAULT: u32 = 1000;
const PAGE_MAX: u32 = 10_000;

/// Refuses what cannot be read by its field's name.
pub fn filters(asked: ListResetsRequest) -> Result<Filters, Status> {
    let origin = match asked.origin() {
        Origin::Unspecified if asked.origin != 0 => {
            return Err(refused("origin", "a value of Origin"));
        }
        Origin::Unspecified => None,
        Origin::Endpoint => Some(report::Origin::Endpoint.as_str()),
        Origin::Middlebox => Some(report::Origin::Middlebox.as_str()),
        Origin::Undetermined => Some(report::Origin::Undetermined.as_str()),
    };
    let limit = match asked.page_size {
        0 => PAGE_DEFAULT,
        size @ 1..=PAGE_MAX => size,
        _ => return Err(refused("page_size", "at most 10000")),
    };
    let after = match asked.page_token.as_str() {
        "" => None,
        token => Some(
            Cursor::read(token)
                .ok_or_else(|| refused("page_token", "next_page_token of an answer"))?,
        ),
    };
    Ok(Filters {
        since: asked.since.map(CaptureTime::from_nanos),
        until: asked.until.map(CaptureTime::from_nanos),
        address: asked.address.map(|octets| address(&octets)).transpose()?,
        port: asked.port.map(port).transpose()?,
        vantage: asked
            .vantage
            .map(|text| name("vantage", text))
            .transpose()?,
        origin,
        cause: asked.cause.map(|word| cause(&word)).transpose()?,
        between: asked.between.map(|two| place("between", two)).transpose()?,
        at: asked.at.map(|text| name("at", text)).transpose()?,
        lost: asked
            .lost_between
            .map(|two| place("lost_between", two))
            .transpose()?,
        after,
        limit,
    })
}

fn refused(field: &str, expected: &str) -> Status {
    Status::invalid_argument(format!("{field}: expected {expected}"))
}

fn address(octets: &[u8]) -> Result<IpAddr, Status> {
    let four = <[u8; 4]>::try_from(octets).map(IpAddr::from);
    four.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from))
        .map_err(|_| refused("address", "4 or 16 octets"))
}

fn port(port: u32) -> Result<u16, Status> {
    u16::try_from(port).map_err(|_| refused("port", "0 to 65535"))
}

fn cause(word: &str) -> Result<&'static str, Status> {
    let mut all = Cause::ALL.map(Cause::as_str).into_iter();
    all.find(|cause| *cause == word)
        .ok_or_else(|| refused("cause", "one of the README's causes"))
}

/// Postgres's text holds no zero octet.
fn name(field: &str, text: String) -> Result<String, Status> {
    if text.contains('\0') {
        return Err(refused(field, "a name without zero octets"));
    }
    Ok(text)
}

fn place(field: &str, two: Between) -> Result<Place, Status> {
    let from = name(field, two.from.unwrap_or_default())?;
    Ok(Place(from, name(field, two.to.unwrap_or_default())?))
}
