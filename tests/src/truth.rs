//! Verdicts held against what was done.

use std::net::IpAddr;

use parallax_core::report::{Cause, Origin, ResetReport, Side};

use crate::lab::{VANTAGES, addresses, path};
use crate::scenario::Act;

/// One reset that a scenario makes, as its construction tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// The end in whose name it goes.
    pub from: Side,
    pub flags: &'static str,
    pub origin: Origin,
    /// From the claimed sender's side.
    pub between: Option<[&'static str; 2]>,
    pub lost_between: Option<[&'static str; 2]>,
    /// Every cause that is right.
    pub causes: Vec<Cause>,
    /// Index of the root in the scenario's list.
    pub root: Option<usize>,
}

impl Expected {
    /// A reset that a host sent in its own name.
    pub fn endpoint(from: Side, flags: &'static str, cause: Cause) -> Self {
        Self {
            from,
            flags,
            origin: Origin::Endpoint,
            between: None,
            lost_between: None,
            causes: vec![cause],
            root: None,
        }
    }

    /// A reset that something else sent in a host's name; say where with [`Self::between`].
    pub fn forged(from: Side, flags: &'static str, cause: Cause) -> Self {
        Self {
            origin: Origin::Middlebox,
            ..Self::endpoint(from, flags, cause)
        }
    }

    /// Where it was forged, the claimed sender's side first.
    #[must_use]
    pub fn between(mut self, before: &'static str, after: &'static str) -> Self {
        self.between = Some([before, after]);
        self
    }

    #[must_use]
    pub fn lost_between(mut self, before: &'static str, after: &'static str) -> Self {
        self.lost_between = Some([before, after]);
        self
    }

    /// Another cause that is as right.
    #[must_use]
    pub fn or(mut self, cause: Cause) -> Self {
        self.causes.push(cause);
        self
    }

    /// Says which reset of the scenario made this one happen.
    #[must_use]
    pub fn rooted(mut self, root: usize) -> Self {
        self.root = Some(root);
        self
    }

    /// The vantages in the order of travel.
    fn travel(&self) -> Vec<&'static str> {
        let mut vantages = path();
        if self.from == Side::Server {
            vantages.reverse();
        }
        vantages
    }

    /// The vantages that saw it, in the order of travel.
    pub fn seen_at(&self) -> Vec<&'static str> {
        let travel = self.travel();
        let place = |name: &str| travel.iter().position(|vantage| *vantage == name);
        let first = self.between.and_then(|[_, after]| place(after));
        let last = self.lost_between.and_then(|[before, _]| place(before));
        let end = last.map_or(travel.len(), |last| last + 1);
        travel[first.unwrap_or(0)..end].to_vec()
    }

    /// The vantage nearest to the emitter of an endpoint's reset.
    pub fn at(&self) -> Option<&'static str> {
        (self.origin == Origin::Endpoint).then_some(())?;
        VANTAGES
            .iter()
            .find(|vantage| vantage.host_of == Some(self.from))
            .map(|vantage| vantage.name)
    }

    /// Every way in which a verdict differs from the truth; `root` is the id of the true root.
    fn differences(&self, verdict: &ResetReport, root: Option<uuid::Uuid>) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut check = |what: &str, is: String, should: String| {
            if is != should {
                wrong.push(format!("{what} is {is}, should be {should}"));
            }
        };
        let emitter = (self.origin == Origin::Endpoint).then_some(self.from);
        check("origin", debug(&verdict.origin), debug(&self.origin));
        check("emitter", debug(&verdict.emitter), debug(&emitter));
        check("at", debug(&verdict.at.as_deref()), debug(&self.at()));
        check(
            "between",
            places(verdict.between.as_ref()),
            debug(&self.between),
        );
        check(
            "lost_between",
            places(verdict.lost_between.as_ref()),
            debug(&self.lost_between),
        );
        check("seen_at", debug(&verdict.seen_at), debug(&self.seen_at()));
        check("root", debug(&verdict.root), debug(&root));
        check("count", debug(&verdict.count), debug(&1));
        if !self.causes.contains(&verdict.cause) {
            check("cause", debug(&verdict.cause), debug(&self.causes));
        }
        wrong
    }
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

/// The end in whose name a reset goes; `None` when it is none of the lab's.
pub fn claimed_sender(reset: &ResetReport, port: u16) -> Option<Side> {
    let is = |addr: IpAddr, side| addresses(side).contains(&addr);
    if reset.sport == port && is(reset.src, Side::Server) {
        Some(Side::Server)
    } else if reset.dport == port && is(reset.src, Side::Client) {
        Some(Side::Client)
    } else {
        None
    }
}

/// The resets of one act, earliest first.
pub fn of_act<'a>(act: &Act, resets: &'a [ResetReport]) -> Vec<&'a ResetReport> {
    let mut own: Vec<_> = resets
        .iter()
        .filter(|reset| claimed_sender(reset, act.port).is_some())
        .collect();
    own.sort_by_key(|reset| reset.time);
    own
}

/// Everything that is wrong with the verdicts on one act; empty when all is right.
pub fn compare(act: &Act, resets: &[ResetReport]) -> Vec<String> {
    let expected = (act.scenario.truth)();
    let (matched, surplus) = pair_up(&expected, of_act(act, resets), act.port);
    let mut wrong = Vec::new();
    for (number, (truth, verdict)) in expected.iter().zip(&matched).enumerate() {
        let Some(verdict) = verdict else {
            wrong.push(format!(
                "reset {number} ({} from the {}) is missing",
                truth.flags,
                truth.from.as_str()
            ));
            continue;
        };
        let root = truth
            .root
            .and_then(|root| matched[root])
            .map(|root| root.id);
        wrong.extend(
            truth
                .differences(verdict, root)
                .into_iter()
                .map(|difference| format!("reset {number}: {difference}")),
        );
    }
    wrong.extend(surplus.iter().map(|reset| {
        format!(
            "a reset nobody sent: {} {}:{} -> {}:{} seq {}",
            reset.flags, reset.src, reset.sport, reset.dst, reset.dport, reset.seq
        )
    }));
    wrong
}

/// Finds each expected reset among the verdicts, in the order of time; returns what is left too.
fn pair_up<'a>(
    expected: &[Expected],
    mut verdicts: Vec<&'a ResetReport>,
    port: u16,
) -> (Vec<Option<&'a ResetReport>>, Vec<&'a ResetReport>) {
    let matched = expected
        .iter()
        .map(|truth| {
            let found = verdicts.iter().position(|verdict| {
                verdict.flags == truth.flags && claimed_sender(verdict, port) == Some(truth.from)
            })?;
            Some(verdicts.remove(found))
        })
        .collect();
    (matched, verdicts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_injected_reset_is_seen_from_its_birthplace_on() {
        let truth = Expected::forged(Side::Server, "R", Cause::Injected).between("fw-in", "gw-out");
        assert_eq!(truth.seen_at(), ["gw-out", "gw-in", "client"]);
        assert_eq!(truth.at(), None);
    }

    #[test]
    fn a_lost_reset_is_seen_up_to_its_grave() {
        let truth = Expected::endpoint(Side::Server, "R", Cause::AbortLinger)
            .lost_between("fw-out", "fw-in");
        assert_eq!(truth.seen_at(), ["server", "fw-out"]);
        assert_eq!(truth.at(), Some("server"));
    }

    #[test]
    fn silence_about_a_reset_that_was_sent_is_wrong() {
        for act in crate::scenario::acts() {
            let truth = (act.scenario.truth)();
            assert_eq!(compare(&act, &[]).len(), truth.len(), "{}", act.name());
        }
    }
}
