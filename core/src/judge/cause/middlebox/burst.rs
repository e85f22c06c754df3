//! Numbers that miss the stream: guessed from outside, or spread so that one of them hits.

use hashbrown::HashSet;

use super::super::{Finding, ONE_ACT, Transcript};
use super::provoking;
use crate::judge::chain::Placed;
use crate::report::{Cause, Origin};
use crate::seq::TcpSeq;

/// How far the numbers of known injectors stand from their first: the Great Firewall's.
const SPREAD_OCTETS: [i32; 2] = [1460, 4380];
/// tcpkill's, in windows of the segment that it answers (dsniff 2.4, 2.3).
const SPREAD_WINDOWS: [[i32; 2]; 2] = [[1, 3], [1, 2]];

pub(super) fn guessed<'a>(
    all: &[Placed<'a>],
    index: usize,
    transcript: &Transcript<'a>,
) -> Option<Finding<'a>> {
    let burst = around(all, index);
    let numbers = distinct(&burst);
    let this_exact = all[index].exact?;
    let exact = burst
        .iter()
        .filter(|other| other.exact == Some(true))
        .count();
    if exact == burst.len() || (numbers.len() == 1 && this_exact) {
        return None;
    }
    let spread = is_known_spread(&numbers, transcript);
    if exact > 0 || spread {
        return Some(off_path(numbers.len(), spread, transcript));
    }
    let lives_on = all[index].effect.effective == Some(false);
    (numbers.len() > 1 || lives_on).then(|| blind(numbers.len()))
}

fn off_path<'a>(count: usize, spread: bool, transcript: &Transcript<'a>) -> Finding<'a> {
    Finding::new(
        Cause::InjectedOffPath,
        provoking(transcript),
        format!(
            "a burst of resets at {count} sequence numbers races the real segments{}",
            if spread {
                ", spread as known injectors spread them"
            } else {
                ""
            }
        ),
    )
}

fn blind<'a>(count: usize) -> Finding<'a> {
    let text = match count {
        1 => "its sequence number is none that the sender would have used, and the connection lived on: it was guessed".to_owned(),
        count => format!(
            "none of {count} sequence numbers is one that the sender would have used: they were guessed"
        ),
    };
    Finding::new(Cause::BlindAttack, None, text)
}

/// The forged resets in the same name and life, near in time.
fn around<'b, 'a>(all: &'b [Placed<'a>], index: usize) -> Vec<&'b Placed<'a>> {
    let this = &all[index];
    all.iter()
        .filter(|other| {
            other.position.origin == Origin::Middlebox
                && other.case.sender == this.case.sender
                && other.case.life == this.case.life
                && (other.at() - this.at()).abs() <= ONE_ACT
        })
        .collect()
}

/// The burst's sequence numbers, the first sent first.
fn distinct(burst: &[&Placed<'_>]) -> Vec<TcpSeq> {
    let mut known = HashSet::new();
    burst
        .iter()
        .map(|placed| placed.case.digest().seq)
        .filter(|seq| known.insert(*seq))
        .collect()
}

/// Three numbers at the distances that known injectors use.
fn is_known_spread(numbers: &[TcpSeq], transcript: &Transcript<'_>) -> bool {
    let [first, rest @ ..] = numbers else {
        return false;
    };
    let away: Vec<i32> = rest.iter().map(|number| number.since(*first)).collect();
    let in_windows = |window: i32| {
        SPREAD_WINDOWS.iter().any(|spread| {
            window > 0 && away == spread.map(|windows| windows.saturating_mul(window))
        })
    };
    let mut windows = transcript
        .peer
        .iter()
        .rev()
        .take(16)
        .map(|seen| i32::from(seen.digest.window));
    away == SPREAD_OCTETS || windows.any(in_windows)
}
