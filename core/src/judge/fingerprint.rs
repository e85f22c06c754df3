//! What a RST looks like beside its claimed sender's other packets. Fingerprints rank; they never
//! overrule where a packet was seen and where it was not.

mod conduct;
mod headers;
mod hops;
mod identification;
mod numbers;
mod signature;
mod speed;
mod timestamps;

use std::cell::OnceCell;

use super::cause::is_exact;
use super::wording::{name, quoted};
use crate::case::Case;
use crate::digest::Digest;
use crate::report::{Evidence, Side};
use crate::scene::{Scene, Seen};

pub(crate) use conduct::foreign_link;

/// Which way the looks of a RST point: positive log odds for a middlebox, negative for the endpoint.
pub(crate) struct Leaning {
    pub(crate) log_odds: f64,
    pub(crate) evidence: Vec<Evidence>,
}

/// A rule's answer: log odds and a sentence. `None` where it cannot say anything.
type Look = Option<(f64, String)>;

/// Rules about the packet itself. Whoever forges one field well forges the others well too, so these are not
/// independent, and their sum is held down by [`together`].
type LookRule = (&'static str, fn(&Specimen<'_, '_>) -> Look);

const LOOKS: [LookRule; 8] = [
    ("fingerprint_ttl", hops::hops),
    ("fingerprint_ip_id", identification::counter),
    ("fingerprint_window", headers::window),
    ("fingerprint_ip", headers::ip_fields),
    ("fingerprint_options", timestamps::clock),
    ("fingerprint_seq", numbers::sequence),
    ("fingerprint_ack", numbers::acknowledgement),
    ("injector_signature", signature::known),
];

/// A RST beside its company at the vantage of its first sighting.
struct Specimen<'s, 'a> {
    scene: &'s Scene<'a>,
    case: &'s Case<'a>,
    vantage: usize,
    reset: Seen<'a>,
    /// The claimed sender's other segments of this life, before and after, in order of time.
    own: Vec<&'s Seen<'a>>,
    /// The receiver's.
    peer: Vec<&'s Seen<'a>>,
    exact: OnceCell<Option<bool>>,
}

impl<'s, 'a> Specimen<'s, 'a> {
    fn of(scene: &'s Scene<'a>, case: &'s Case<'a>) -> Self {
        let vantage = case.views[case.first].vantage;
        let (own, peer) = scene
            .life(vantage, case.life)
            .filter(|seen| !seen.digest.is_rst())
            .partition(|seen| seen.sender == case.sender);
        Self {
            scene,
            case,
            vantage,
            reset: *case.first_seen(),
            own,
            peer,
            exact: OnceCell::new(),
        }
    }

    /// As [`is_exact`]; many signatures ask.
    fn is_exact(&self) -> Option<bool> {
        *self.exact.get_or_init(|| is_exact(self.scene, self.case))
    }

    fn digest(&self) -> &'a Digest {
        self.reset.digest
    }

    fn sender(&self) -> Side {
        self.case.sender
    }

    fn who(&self) -> &'static str {
        self.case.sender.as_str()
    }

    fn here(&self) -> String {
        quoted(self.scene, self.vantage)
    }

    fn own_before(&self) -> impl DoubleEndedIterator<Item = &'s Seen<'a>> {
        let at = self.reset.at;
        self.own.iter().copied().filter(move |seen| seen.at <= at)
    }

    fn peer_before(&self) -> impl DoubleEndedIterator<Item = &'s Seen<'a>> {
        let at = self.reset.at;
        self.peer.iter().copied().filter(move |seen| seen.at <= at)
    }
}

/// Weighs the RST of the first sighting against the claimed sender's packets at the same vantage.
pub(crate) fn lean(scene: &Scene<'_>, case: &Case<'_>) -> Leaning {
    let specimen = Specimen::of(scene, case);
    let vantage = case.views[case.first].vantage;
    let mut evidence = Vec::new();
    let mut tell = |kind: &str, text: String| {
        evidence.push(Evidence {
            kind: kind.to_owned(),
            vantage: Some(name(scene, vantage)),
            text,
        });
    };
    let mut looks = Vec::new();
    for (kind, rule) in LOOKS {
        if let Some((weight, text)) = rule(&specimen) {
            looks.push(weight);
            tell(kind, text);
        }
    }
    let mut log_odds = together(&looks);
    for (kind, rule) in conduct::RULES {
        if let Some((weight, text)) = rule(scene, case) {
            log_odds += weight;
            tell(kind, text);
        }
    }
    Leaning { log_odds, evidence }
}

/// However many looks point one way, they are worth no more than this.
const FORGED_AT_MOST: f64 = 4.0;
const HONEST_AT_MOST: f64 = 2.8;

/// The strongest look each way counts in full, the others by a third: they come from the same hand.
fn together(looks: &[f64]) -> f64 {
    let one_way = |sign: f64| {
        let weights = || looks.iter().map(|weight| (weight * sign).max(0.0));
        let strongest = weights().fold(0.0, f64::max);
        strongest + (weights().sum::<f64>() - strongest) / 3.0
    };
    one_way(1.0).min(FORGED_AT_MOST) - one_way(-1.0).min(HONEST_AT_MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_weak_looks_are_not_worth_their_sum() {
        let weak = together(&[0.6; 5]);
        assert!(weak < 1.5, "{weak}");
        assert!(together(&[2.8, 2.0, 2.0, 2.0]) <= FORGED_AT_MOST);
        assert!(together(&[-2.0, -2.0, -2.0]) >= -HONEST_AT_MOST);
        assert!(together(&[2.0, -2.0]).abs() < 1e-9);
        assert!(together(&[]).abs() < 1e-9);
    }
}
