//! A certificate's days: whether it is good now, and for how long.

use std::path::Path;

use jiff::Timestamp;
use parallax_identity::Bearer;

use super::Check;

/// An agent's renews itself when a third of its life is left. With less than this part left something is in its way.
const OVERDUE: i64 = 4;
/// Others are renewed by hand: so many seconds before their end there is time to do it.
const SOON: i64 = 30 * 86_400;

/// What its days say at `now`.
pub fn days(file: &Path, now: Timestamp) -> Check {
    let what = format!("certificate {}", file.display());
    let bearer = match Bearer::read_file(file) {
        Ok(bearer) => bearer,
        Err(error) => return Check::wrong(what, error.to_string(), "give the right file"),
    };
    judge(what, &bearer, now.as_second())
}

fn judge(what: String, bearer: &Bearer, now: i64) -> Check {
    let whose = if bearer.vantages.is_empty() {
        String::new()
    } else {
        format!("; for {}", bearer.vantages.join(", "))
    };
    if now < bearer.from {
        let found = format!("it is good from {} on only{whose}", moment(bearer.from));
        return Check::wrong(
            what,
            found,
            "set this machine's clock, or the one of who signed it",
        );
    }
    if now > bearer.until {
        let found = format!("it expired at {}{whose}", moment(bearer.until));
        return Check::wrong(what, found, renew(bearer));
    }
    let found = format!("good until {}{whose}", moment(bearer.until));
    let left = bearer.until - now;
    let life = bearer.until - bearer.from;
    if bearer.vantages.is_empty() && left < SOON.min(life / OVERDUE) {
        return Check::warning(what, found, renew(bearer));
    }
    if !bearer.vantages.is_empty() && left < life / OVERDUE {
        let mend = format!(
            "its renewal is overdue: is its agent running, and the collector in reach? Otherwise {}",
            renew(bearer)
        );
        return Check::warning(what, found, mend);
    }
    Check::fine(what, found)
}

fn renew(bearer: &Bearer) -> String {
    if bearer.vantages.is_empty() {
        "make another with `parallax pki server DIR --name …`; it is taken up while the collector runs".to_owned()
    } else {
        format!(
            "enrol again: `parallax token create --vantage {}` at the collector, `parallax enroll` here",
            bearer.vantages.join(",")
        )
    }
}

fn moment(second: i64) -> String {
    Timestamp::from_second(second).map_or_else(|_| second.to_string(), |moment| moment.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::State;

    const DAY: i64 = 86_400;

    fn bearer(vantages: &[&str], from: i64, until: i64) -> Bearer {
        Bearer {
            subject: String::new(),
            vantages: vantages.iter().map(ToString::to_string).collect(),
            from,
            until,
        }
    }

    fn state(bearer: &Bearer, now: i64) -> (State, String) {
        let check = judge("certificate a.pem".to_owned(), bearer, now);
        (check.state, check.mend.unwrap_or_default())
    }

    #[test]
    fn an_agents_certificate_is_overdue_when_a_quarter_of_its_life_is_left() {
        let week = bearer(&["fw-in"], 0, 7 * DAY);
        assert_eq!(state(&week, 4 * DAY).0, State::Fine);
        let (overdue, mend) = state(&week, 6 * DAY);
        assert_eq!(overdue, State::Warning);
        assert!(
            mend.contains("parallax token create --vantage fw-in"),
            "{mend}"
        );
        assert_eq!(state(&week, 8 * DAY).0, State::Wrong);
    }

    #[test]
    fn a_collectors_is_told_a_month_before_its_end_and_one_from_the_future_is_wrong() {
        let long = bearer(&[], 10, 825 * DAY);
        assert_eq!(state(&long, 790 * DAY).0, State::Fine);
        let (soon, mend) = state(&long, 800 * DAY);
        assert_eq!(soon, State::Warning);
        assert!(mend.contains("parallax pki server"), "{mend}");
        let (early, mend) = state(&long, 0);
        assert_eq!(early, State::Wrong);
        assert!(mend.contains("clock"), "{mend}");
    }
}
