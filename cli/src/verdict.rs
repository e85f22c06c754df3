//! Verdicts in the few words of a table.

use anstyle::{AnsiColor, Style};
use parallax_core::report::{Origin, ResetReport};

/// Where the reset came from and whether it got lost, for instance `middlebox between fw-out and
/// fw-in`. Names are as they came: make them [`plain`](crate::plain::plain) before printing.
pub fn words(reset: &ResetReport) -> String {
    let mut words = match reset.origin {
        Origin::Endpoint => endpoint(reset),
        Origin::Middlebox => format!("middlebox{}", between(reset, reset.between.as_ref())),
        Origin::Undetermined => {
            format!("undetermined{}", between(reset, reset.between.as_ref()))
        }
    };
    if let Some(lost) = &reset.lost_between {
        words.push_str(", lost");
        words.push_str(&between(reset, Some(lost)));
    }
    words
}

fn endpoint(reset: &ResetReport) -> String {
    let emitter = reset
        .emitter
        .map_or_else(String::new, |side| format!(" {}", side.as_str()));
    let at = reset
        .at
        .as_ref()
        .map_or_else(String::new, |at| format!(" at {at}"));
    format!("endpoint{emitter}{at}")
}

/// ` between A and B`; beyond the outermost vantage stands the endpoint's address.
fn between(reset: &ResetReport, places: Option<&[Option<String>; 2]>) -> String {
    let Some([from, to]) = places else {
        return String::new();
    };
    let from = from.clone().unwrap_or_else(|| reset.src.to_string());
    let to = to.clone().unwrap_or_else(|| reset.dst.to_string());
    format!(" between {from} and {to}")
}

/// Forged resets stand out, open questions a little.
pub fn style(origin: Origin) -> Style {
    match origin {
        Origin::Middlebox => AnsiColor::Red.on_default().bold(),
        Origin::Endpoint => AnsiColor::Green.on_default(),
        Origin::Undetermined => AnsiColor::Yellow.on_default(),
    }
}

/// A probability in percent; certainty is never rounded up to.
pub fn confidence(probability: f64) -> String {
    let percent = probability * 100.0;
    if probability < 1.0 && percent >= 99.95 {
        ">99.9%".to_owned()
    } else {
        format!("{percent:.1}%")
    }
}

/// Source and destination with ports.
pub fn tuple(reset: &ResetReport) -> String {
    use std::net::SocketAddr;
    let src = SocketAddr::new(reset.src, reset.sport);
    let dst = SocketAddr::new(reset.dst, reset.dport);
    format!("{src} > {dst}")
}

/// The flags, with the count of equal packets where there are several.
pub fn flags(reset: &ResetReport) -> String {
    match reset.count {
        0 | 1 => reset.flags.clone(),
        count => format!("{} x{count}", reset.flags),
    }
}

/// RFC 3339 with microseconds: what tables have room for.
pub fn time(reset: &ResetReport) -> String {
    moment(reset.time)
}

/// A capture time with microseconds.
pub fn moment(time: parallax_core::CaptureTime) -> String {
    let whole = time.to_string();
    match whole.strip_suffix('Z') {
        Some(digits) if digits.len() > 3 => format!("{}Z", &digits[..digits.len() - 3]),
        _ => whole,
    }
}
