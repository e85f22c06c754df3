//! Verdicts held against a network's truth.

use std::net::SocketAddr;

use parallax_core::report::{Cause, Origin, ResetReport};
use uuid::Uuid;

use super::truth::{Reset, Truth};

/// Whether the judge was told which vantages are hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hosts {
    Told,
    /// Then only silence and looks speak: an honest reset may stay open, but accuses nobody.
    Untold,
}

/// Everything that is wrong with the verdicts on a network; empty when all is right.
pub fn compare(truth: &Truth, verdicts: &[ResetReport], hosts: Hosts) -> Vec<String> {
    let (matched, surplus) = pair_up(truth, verdicts);
    let mut wrong = Vec::new();
    for (number, (reset, verdict)) in truth.resets.iter().zip(&matched).enumerate() {
        let found = match verdict {
            None => vec![format!("is missing: {}", told(truth, reset))],
            Some(verdict) => {
                let root = reset.root.and_then(|root| matched[root]);
                differences(truth, reset, verdict, root.map(|root| root.id), hosts)
            }
        };
        wrong.extend(found.iter().map(|found| format!("reset {number} {found}")));
    }
    wrong.extend(surplus.iter().map(|reset| {
        let (source, destination) = sockets(reset);
        format!(
            "a reset nobody sent: {} {source} -> {destination} seq {} {:?} {:?} seen at {:?}",
            reset.flags, reset.seq, reset.origin, reset.between, reset.seen_at
        )
    }));
    wrong
}

fn told(truth: &Truth, reset: &Reset) -> String {
    let sockets = truth.sockets(reset);
    let sockets = sockets.map(|(source, destination)| format!("{source} -> {destination}"));
    format!(
        "{} {} seq {:?} {:?} {:?}",
        reset.flags,
        sockets.unwrap_or_default(),
        reset.seq,
        reset.origin,
        reset.between
    )
}

fn sockets(verdict: &ResetReport) -> (SocketAddr, SocketAddr) {
    (
        SocketAddr::new(verdict.src, verdict.sport),
        SocketAddr::new(verdict.dst, verdict.dport),
    )
}

/// Finds each reset of the truth among the verdicts, in the order of time; returns what is left
/// too.
fn pair_up<'a>(
    truth: &Truth,
    verdicts: &'a [ResetReport],
) -> (Vec<Option<&'a ResetReport>>, Vec<&'a ResetReport>) {
    let mut left: Vec<_> = verdicts.iter().collect();
    left.sort_by_key(|verdict| verdict.time);
    let mut take = |reset: &Reset| {
        let found = left.iter().position(|verdict| {
            verdict.flags == reset.flags
                && Some(sockets(verdict)) == truth.sockets(reset)
                && reset.seq.is_none_or(|seq| seq == verdict.seq)
        })?;
        Some(left.remove(found))
    };
    let matched = truth.resets.iter().map(&mut take).collect();
    (matched, left)
}

/// Every way in which a verdict differs from the truth.
fn differences(
    truth: &Truth,
    reset: &Reset,
    verdict: &ResetReport,
    root: Option<Uuid>,
    hosts: Hosts,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut check = |what: &str, is: String, should: String| {
        if is != should {
            wrong.push(format!("{what} is {is}, should be {should}"));
        }
    };
    check(
        "lost_between",
        places(verdict.lost_between.as_ref()),
        debug(&reset.lost_between),
    );
    check(
        "seen_at",
        debug(&verdict.seen_at),
        debug(&truth.seen_at(reset)),
    );
    check("count", debug(&verdict.count), debug(&reset.count));
    if verdict.effective.is_some() && reset.effective.is_some() {
        check(
            "effective",
            debug(&verdict.effective),
            debug(&reset.effective),
        );
    }
    let open = hosts == Hosts::Untold
        && reset.origin == Origin::Endpoint
        && verdict.origin == Origin::Undetermined;
    if open {
        return wrong;
    }
    let emitter = (reset.origin == Origin::Endpoint).then_some(reset.from);
    check("origin", debug(&verdict.origin), debug(&reset.origin));
    check("emitter", debug(&verdict.emitter), debug(&emitter));
    check("at", debug(&verdict.at.as_deref()), debug(&truth.at(reset)));
    check(
        "between",
        places(verdict.between.as_ref()),
        debug(&reset.between),
    );
    check("root", debug(&verdict.root), debug(&root));
    let vague = hosts == Hosts::Untold && verdict.cause == Cause::Unknown;
    if !reset.causes.contains(&verdict.cause) && !vague {
        check("cause", debug(&verdict.cause), debug(&reset.causes));
    }
    wrong
}

fn debug(value: &impl std::fmt::Debug) -> String {
    format!("{value:?}")
}

/// Prints an interval as the truth's type does.
fn places(interval: Option<&[Option<String>; 2]>) -> String {
    let named = interval.map(|ends| {
        ends.each_ref()
            .map(|end| end.as_deref().unwrap_or("(beyond)"))
    });
    debug(&named)
}
