//! A verdict as one English sentence.

use crate::report::{Cause, Origin, ResetReport};

/// Says who sent the reset, where, why and how sure that is.
pub(crate) fn tell(report: &ResetReport) -> String {
    let from = format!("{}:{}", bracketed(report.src), report.sport);
    let to = format!("{}:{}", bracketed(report.dst), report.dport);
    let what = match report.count {
        1 => format!("The RST from {from} to {to}"),
        count => format!("The RST from {from} to {to} ({count} times)"),
    };
    let who = match report.origin {
        Origin::Endpoint => format!(
            "was sent by the {} itself",
            report.emitter.map_or("endpoint", |side| side.as_str())
        ),
        Origin::Middlebox => format!("was forged by a middlebox {}", place(report)),
        Origin::Undetermined => "has an origin that this evidence does not settle".to_owned(),
    };
    let lost = report
        .lost_between
        .as_ref()
        .map_or_else(String::new, |ends| {
            format!(
                "; it was lost between {} and {}",
                end(ends[0].as_deref()),
                end(ends[1].as_deref())
            )
        });
    let why = match why(report.cause) {
        "" => String::new(),
        why => format!(": {why}"),
    };
    format!(
        "{what} {who}{why}{lost} (confidence {:.3}).",
        report.confidence
    )
}

fn bracketed(addr: std::net::IpAddr) -> String {
    match addr {
        std::net::IpAddr::V4(v4) => v4.to_string(),
        std::net::IpAddr::V6(v6) => format!("[{v6}]"),
    }
}

fn place(report: &ResetReport) -> String {
    match &report.between {
        Some([from, to]) => match (from.as_deref(), to.as_deref()) {
            (Some(from), Some(to)) => format!("between \"{from}\" and \"{to}\""),
            (None, Some(to)) => format!("before \"{to}\", seen from its claimed sender"),
            (Some(from), None) => format!("beyond \"{from}\""),
            (None, None) => "at an unknown place".to_owned(),
        },
        None => "at an unknown place".to_owned(),
    }
}

fn end(name: Option<&str>) -> String {
    name.map_or_else(
        || "the outermost vantage and the host".to_owned(),
        |name| format!("\"{name}\""),
    )
}

/// A cause in words.
fn why(cause: Cause) -> &'static str {
    match cause {
        Cause::ClosedPort => "nothing listens on that port",
        Cause::ListenerOverloaded => "its listener is overloaded",
        Cause::SynAckRefused => "it refused the SYN+ACK",
        Cause::RetransmissionTimeout => "it retransmitted one segment too often without an answer",
        Cause::KeepaliveTimeout => "its keep-alive probes stayed unanswered",
        Cause::AbortUnreadData => "its program closed with received data unread",
        Cause::AbortLinger => "its program aborted the connection",
        Cause::NoSocket => "it knew no such connection any more",
        Cause::TimeWaitReuse => "the ports of a closed connection were used again too early",
        Cause::OutOfWindow => "it received a segment that does not belong to the connection",
        Cause::FirewallRejectSyn => "a firewall rejects this connection request",
        Cause::FirewallRejectContent => "a firewall rejects what was sent",
        Cause::FirewallIdleTimeout => "a firewall had forgotten the idle connection",
        Cause::InjectedBothWays => "both ends were reset",
        Cause::InjectedOffPath => "a burst of guesses around the stream",
        Cause::BlindAttack => "a blind attack with guessed numbers",
        Cause::HostFirewallReject => "the host's own firewall rejected it",
        Cause::ProxyAbort => "a proxy passed on a reset from its other side",
        Cause::Injected | Cause::Unknown => "",
    }
}
