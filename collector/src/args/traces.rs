//! Where traces go.

use std::collections::BTreeMap;

use clap::Args;
use url::Url;

use super::alerts::web;

/// Headers for the receiver, as every exporter of OpenTelemetry reads them; the first that is set counts.
const HEADERS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
    "OTEL_EXPORTER_OTLP_HEADERS",
];

#[derive(Debug, Args)]
#[command(next_help_heading = "Traces")]
pub struct TraceArgs {
    /// Send OpenTelemetry traces here (OTLP over HTTP): the receiver's base address, for instance
    /// http://127.0.0.1:4318. Without it nothing is traced
    #[arg(long, value_name = "URL", env = "PARALLAX_OTLP", hide_env_values = true, value_parser = web)]
    pub otlp: Option<Url>,
}

/// What the environment says of headers for the receiver.
pub fn trace_headers() -> BTreeMap<String, String> {
    let said = HEADERS.iter().find_map(|name| std::env::var(name).ok());
    said.map(|said| headers(&said)).unwrap_or_default()
}

/// Reads `name=value,name=value`, values percent-encoded (W3C Baggage without metadata).
fn headers(text: &str) -> BTreeMap<String, String> {
    let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
    pairs
        .filter(|(name, _)| !name.trim().is_empty())
        .map(|(name, value)| (name.trim().to_owned(), decoded(value.trim())))
        .collect()
}

fn decoded(value: &str) -> String {
    let octets = value.as_bytes();
    let mut plain = Vec::with_capacity(octets.len());
    let mut at = 0;
    while let Some(octet) = octets.get(at) {
        let digits = octets.get(at + 1..at + 3).filter(|_| *octet == b'%');
        let code = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        if let Some(code) = code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            plain.push(code);
            at += 3;
        } else {
            plain.push(*octet);
            at += 1;
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_as_the_specification_writes_them() {
        let read = headers("authorization=Bearer%20abc, x-tenant = one ,=none,bare,odd=1%2%zz=");
        let expected = [
            ("authorization", "Bearer abc"),
            ("x-tenant", "one"),
            ("odd", "1%2%zz="),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(read, BTreeMap::from(expected));
    }
}
