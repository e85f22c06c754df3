//! Under which names a connection was seen, and where they change.

use std::net::SocketAddr;

use super::wording::{name, quoted};
use crate::case::Case;
use crate::flow::{Endpoint, FourTuple, Way};
use crate::join::{Name, TiedBy};
use crate::report::{Change, Changed, Evidence, NameAt, Side};
use crate::scene::Scene;

/// The connection's names at the vantages on its path, client side first; empty where it has one only.
pub(super) fn names(scene: &Scene<'_>, case: &Case<'_>) -> Vec<NameAt> {
    let all = along(scene, case);
    if all.iter().all(|one| one.low_to_high == all[0].low_to_high) {
        return Vec::new();
    }
    all.iter()
        .map(|one| {
            let tuple = from_client(scene, one);
            NameAt {
                vantage: name(scene, one.vantage),
                client: socket(tuple.src),
                server: socket(tuple.dst),
            }
        })
        .collect()
}

/// Where addresses and sequence numbers change along the path.
pub(super) fn changes(scene: &Scene<'_>, case: &Case<'_>) -> Vec<Change> {
    let all = along(scene, case);
    all.windows(2)
        .flat_map(|pair| {
            let [one, other] = [&pair[0], &pair[1]];
            let change = |what, text| Change {
                what,
                between: [name(scene, one.vantage), name(scene, other.vantage)],
                text,
            };
            let addresses = (one.low_to_high != other.low_to_high).then(|| {
                let (before, after) = (from_client(scene, one), from_client(scene, other));
                change(Changed::Addresses, format!("{before} becomes {after}"))
            });
            let numbers = (one.shift != other.shift).then(|| {
                let blocks = selective(scene, case, one, other).unwrap_or_default();
                let text = format!("{}{blocks}", shifts(scene, one, other));
                change(Changed::SequenceNumbers, text)
            });
            [addresses, numbers].into_iter().flatten()
        })
        .collect()
}

/// What joined the names, and where nothing could.
pub(super) fn evidence(scene: &Scene<'_>, case: &Case<'_>) -> Vec<Evidence> {
    let mut found: Vec<Evidence> = changes(scene, case)
        .into_iter()
        .map(|change| Evidence {
            kind: match change.what {
                Changed::Addresses => "translated",
                Changed::SequenceNumbers => "renumbered",
            }
            .to_owned(),
            vantage: Some(change.between[1].clone()),
            text: format!(
                "between \"{}\" and \"{}\" {}",
                change.between[0], change.between[1], change.text
            ),
        })
        .collect();
    let by = along(scene, case).iter().filter_map(|one| one.by).max();
    if let Some(by) = by.filter(|_| !found.is_empty()) {
        found.push(Evidence {
            kind: "linked".to_owned(),
            vantage: None,
            text: linked_by(by).to_owned(),
        });
    }
    let life = scene.joined_life(case.life);
    found.extend(life.refused.iter().map(|vantage| Evidence {
        kind: "ambiguous".to_owned(),
        vantage: Some(name(scene, *vantage)),
        text: format!(
            "more than one connection at {} could be this one, so none was taken for it",
            quoted(scene, *vantage)
        ),
    }));
    found
}

const fn linked_by(by: TiedBy) -> &'static str {
    match by {
        TiedBy::BothInitialNumbers => {
            "the names are one connection: both initial sequence numbers agree"
        }
        TiedBy::Handshake => {
            "the names are one connection: its opening agrees in what a translator leaves alone, and no other's does"
        }
        TiedBy::Resets => {
            "the names are one connection, as far as its reset tells: number and one end agree, and no other's do"
        }
        TiedBy::Payload => {
            "the names are one connection: it was met in mid-stream, and its payload and timestamps agree"
        }
    }
}

/// Names along the path.
fn along(scene: &Scene<'_>, case: &Case<'_>) -> Vec<Name> {
    let names = &scene.joined_life(case.life).names;
    scene
        .path
        .order
        .iter()
        .flat_map(|&vantage| {
            let mut here: Vec<Name> = names
                .iter()
                .filter(|name| name.vantage == vantage)
                .copied()
                .collect();
            here.sort_by_key(|name| met(scene, case, name));
            here
        })
        .collect()
}

/// A translator's own vantage sees the client's packets under the client's name first.
fn met(scene: &Scene<'_>, case: &Case<'_>, name: &Name) -> i64 {
    scene
        .life(name.vantage, case.life)
        .filter(|seen| seen.sender == Side::Client)
        .find(|seen| seen.carried.tuple.flow() == name.low_to_high.flow())
        .map_or(i64::MAX, |seen| seen.at)
}

fn client_way(scene: &Scene<'_>) -> Way {
    let low = scene.evidence.flow.low();
    if scene.ends.endpoint(Side::Client) == low {
        Way::LowToHigh
    } else {
        Way::HighToLow
    }
}

fn from_client(scene: &Scene<'_>, name: &Name) -> FourTuple {
    name.tuple(client_way(scene))
}

fn shifts(scene: &Scene<'_>, one: &Name, other: &Name) -> String {
    let client = client_way(scene);
    let told = |way: Way| {
        let by = other.shift[way as usize].wrapping_sub(one.shift[way as usize]);
        let side = if way == client {
            Side::Client
        } else {
            Side::Server
        };
        (by != 0).then(|| format!("the {}'s by {}", side.as_str(), by.cast_signed()))
    };
    let both: Vec<String> = [client, client.opposite()]
        .into_iter()
        .filter_map(told)
        .collect();
    format!("sequence numbers are rewritten, {}", both.join(" and "))
}

/// Whether a box that rewrites numbers rewrites SACK blocks (RFC 2018) too, as the end of a sentence: beyond one
/// that does not they are far from what their own segment acknowledges.
fn selective(scene: &Scene<'_>, case: &Case<'_>, one: &Name, other: &Name) -> Option<&'static str> {
    const NEAR: u32 = 1 << 26;
    let mut kept = [one, other]
        .into_iter()
        .flat_map(|name| scene.life(name.vantage, case.life))
        .filter_map(|seen| {
            let block = seen.digest.options.sack?;
            let acked = seen.digest.acked()?;
            Some(block.left.since(acked).unsigned_abs() < NEAR)
        })
        .peekable();
    kept.peek()?;
    Some(if kept.all(|kept| kept) {
        ", in SACK blocks too"
    } else {
        ", but not in SACK blocks, which then name octets that were never sent"
    })
}

fn socket(endpoint: Endpoint) -> SocketAddr {
    SocketAddr::new(endpoint.addr, endpoint.port)
}
