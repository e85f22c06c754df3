//! Documents to messages.

use std::net::IpAddr;

use parallax_core::CaptureTime;
use parallax_core::report::{self, ResetReport, Side};
use parallax_proto::v1::{Absence, Between, End, Evidence, Origin, Reset, VantageSummary};

pub fn reset(report: &ResetReport) -> Reset {
    Reset {
        id: report.id.to_string(),
        time: report.time.nanos(),
        src_addr: octets(report.src),
        src_port: report.sport.into(),
        dst_addr: octets(report.dst),
        dst_port: report.dport.into(),
        seq: report.seq,
        ack: report.ack,
        flags: report.flags.clone(),
        count: report.count,
        origin: origin(report.origin).into(),
        emitter: emitter(report.emitter).into(),
        between: report.between.as_ref().map(between),
        at: report.at.clone(),
        lost_between: report.lost_between.as_ref().map(between),
        seen_at: report.seen_at.clone(),
        absent_at: report.absent_at.iter().map(absence).collect(),
        cause: report.cause.as_str().to_owned(),
        root: report
            .root
            .map_or_else(String::new, |root| root.to_string()),
        confidence: report.confidence,
        effective: report.effective,
        idle_ns: report.idle_ns,
        trigger: report.trigger.clone().unwrap_or_default(),
        decide: report.decide.clone().unwrap_or_default(),
        evidence: report.evidence.iter().map(evidence).collect(),
        path: report.path.clone(),
    }
}

fn octets(addr: IpAddr) -> Vec<u8> {
    match addr {
        IpAddr::V4(addr) => addr.octets().to_vec(),
        IpAddr::V6(addr) => addr.octets().to_vec(),
    }
}

const fn origin(origin: report::Origin) -> Origin {
    match origin {
        report::Origin::Endpoint => Origin::Endpoint,
        report::Origin::Middlebox => Origin::Middlebox,
        report::Origin::Undetermined => Origin::Undetermined,
    }
}

const fn emitter(side: Option<Side>) -> End {
    match side {
        None => End::Unspecified,
        Some(Side::Client) => End::Client,
        Some(Side::Server) => End::Server,
    }
}

fn between([from, to]: &[Option<String>; 2]) -> Between {
    Between {
        from: from.clone(),
        to: to.clone(),
    }
}

fn absence(absence: &report::AbsenceReport) -> Absence {
    Absence {
        vantage: absence.vantage.clone(),
        attested: absence.attested,
        why: absence.why.clone().unwrap_or_default(),
    }
}

fn evidence(reason: &report::Evidence) -> Evidence {
    Evidence {
        kind: reason.kind.clone(),
        vantage: reason.vantage.clone().unwrap_or_default(),
        text: reason.text.clone(),
    }
}

pub fn vantage(vantage: report::VantageSummary) -> VantageSummary {
    VantageSummary {
        name: vantage.name,
        host_addresses: vantage.addresses.into_iter().map(octets).collect(),
        connected: vantage.connected.unwrap_or(false),
        packets: vantage.packets,
        dropped: vantage.dropped,
        first: vantage.first.map(CaptureTime::nanos),
        last: vantage.last.map(CaptureTime::nanos),
        losses: vantage.losses.into_iter().map(|loss| loss.text).collect(),
    }
}
