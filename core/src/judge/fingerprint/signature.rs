//! Injectors that are known by how their RSTs look (`core/data/injectors.toml`).

mod burst;
mod entry;

use std::sync::LazyLock;

use serde::Deserialize;

use super::{Look, Specimen};
use crate::case::Sight;
use crate::digest::{Digest, TcpFlags};
use crate::judge::cause::highest;
use crate::judge::library::LibraryError;
use crate::scene::Seen;
use burst::Burst;

static SIGNATURES: LazyLock<Vec<Signature>> = LazyLock::new(|| {
    parse(include_str!("../../../data/injectors.toml"))
        .expect("the shipped library parses, as a test holds")
});

fn parse(text: &str) -> Result<Vec<Signature>, LibraryError> {
    entry::read(text)
}

/// What the RSTs of one injector have in common. What is `None` may be anything.
#[derive(Debug)]
struct Signature {
    id: String,
    description: String,
    source: String,
    /// Log odds for a forgery; 0 where honest hosts send the same.
    weight: f64,
    flags: Option<TcpFlags>,
    seq: Option<Seq>,
    ack: Option<Ack>,
    window: Option<Window>,
    ip_id: Option<IpId>,
    ttl: Option<Ttl>,
    dont_fragment: Option<bool>,
    without_options: bool,
    provoked_by: Option<Provocation>,
    burst: Option<Burst>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Seq {
    /// One that the claimed sender would have used.
    Exact,
    Zero,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Ack {
    /// The end of what the receiver sent.
    Exact,
    /// The receiver's initial number itself, not the one after it.
    Initial,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Window {
    Zero,
    NonZero,
    /// That of the segment that provoked it.
    Copied,
    OneOf(Vec<u16>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum IpId {
    Zero,
    NonZero,
    Copied,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ttl {
    /// It may have started at this value.
    Initial(u8),
    /// The RSTs of a burst differ.
    Varies,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Provocation {
    Syn,
    SynAck,
    Data,
}

/// The weightiest signatures that fit. What honest hosts send too is told only of a RST that an attested
/// absence shows to be forged.
pub(super) fn known(s: &Specimen<'_, '_>) -> Look {
    let forged = s.case.views[..s.case.first]
        .iter()
        .any(|view| matches!(view.sight, Sight::Absent(_)));
    let fitting: Vec<&Signature> = SIGNATURES
        .iter()
        .filter(|signature| signature.weight > 0.0 || forged)
        .filter(|signature| signature.fits(s))
        .collect();
    let weight = fitting
        .iter()
        .map(|signature| signature.weight)
        .max_by(f64::total_cmp)?;
    let worth = if weight > 0.0 {
        ""
    } else {
        "; honest hosts send the same, so this weighs nothing"
    };
    let names: Vec<String> = fitting
        .iter()
        .filter(|signature| signature.weight >= weight)
        .map(|one| format!("{} ({}; {})", one.description, one.id, one.source))
        .collect();
    Some((
        weight,
        format!("it looks like {}{worth}", names.join(", or ")),
    ))
}

impl Signature {
    fn fits(&self, s: &Specimen<'_, '_>) -> bool {
        let reset = s.digest();
        self.flags.is_none_or(|flags| flags == reset.flags)
            && self
                .dont_fragment
                .is_none_or(|bit| bit == reset.ip.dont_fragment)
            && (!self.without_options || has_no_options(reset))
            && self.seq.is_none_or(|seq| fits_seq(seq, s))
            && self.ack.is_none_or(|ack| fits_ack(ack, s))
            && self.fits_copies(s)
            && self.fits_provocation(s)
            && self.fits_burst(s)
    }

    /// Window and IP ID: copied ones come from the same segment.
    fn fits_copies(&self, s: &Specimen<'_, '_>) -> bool {
        let reset = s.digest();
        let window = |of: Option<&Digest>| match (&self.window, of) {
            (None, _) => true,
            (Some(Window::Zero), _) => reset.window == 0,
            (Some(Window::NonZero), _) => reset.window != 0,
            (Some(Window::OneOf(values)), _) => values.contains(&reset.window),
            (Some(Window::Copied), of) => of.is_some_and(|of| of.window == reset.window),
        };
        let id = |of: Option<&Digest>| match (self.ip_id, of) {
            (None, _) => true,
            (Some(IpId::Zero), _) => reset.ip.id.is_none_or(|id| id == 0),
            (Some(IpId::NonZero), _) => reset.ip.id.is_some_and(|id| id != 0),
            (Some(IpId::Copied), of) => {
                let id = reset.ip.id.filter(|id| *id != 0);
                id.is_some() && of.is_some_and(|of| of.ip.id == id)
            }
        };
        let copied = self.window == Some(Window::Copied) || self.ip_id == Some(IpId::Copied);
        if !copied {
            return window(None) && id(None);
        }
        recent(s).any(|seen| window(Some(seen.digest)) && id(Some(seen.digest)))
    }

    fn fits_provocation(&self, s: &Specimen<'_, '_>) -> bool {
        let Some(provocation) = self.provoked_by else {
            return true;
        };
        let last = s
            .own_before()
            .chain(s.peer_before())
            .max_by_key(|seen| seen.at);
        last.is_some_and(|seen| match provocation {
            Provocation::Syn => seen.digest.is_syn(),
            Provocation::SynAck => seen.digest.is_syn_ack(),
            Provocation::Data => seen.digest.payload_len > 0,
        })
    }

    fn fits_burst(&self, s: &Specimen<'_, '_>) -> bool {
        let around = |within| burst::around(s, within);
        let varies = self.ttl == Some(Ttl::Varies);
        match (&self.burst, self.ttl) {
            (_, Some(Ttl::Initial(initial))) if !may_start_at(initial, s.digest().ip.ttl) => false,
            (Some(burst), _) => {
                let resets = around(burst.within);
                burst.fits(&resets, s) && (!varies || burst::ttls_differ(&resets))
            }
            (None, _) => !varies || burst::ttls_differ(&around(burst::USUAL)),
        }
    }
}

/// The receiver's latest segments, of which a box copies.
fn recent<'s, 'a>(s: &Specimen<'s, 'a>) -> impl Iterator<Item = &'s Seen<'a>> {
    const COPIED_AMONG: usize = 4;
    s.peer_before().rev().take(COPIED_AMONG)
}

fn has_no_options(digest: &Digest) -> bool {
    let options = digest.options;
    options.order == 0 && options.timestamps.is_none() && options.mss.is_none()
}

fn fits_seq(seq: Seq, s: &Specimen<'_, '_>) -> bool {
    match seq {
        Seq::Zero => s.digest().seq.0 == 0,
        Seq::Exact => s.is_exact() == Some(true),
    }
}

fn fits_ack(ack: Ack, s: &Specimen<'_, '_>) -> bool {
    let Some(acked) = s.digest().acked() else {
        return false;
    };
    let mut peer = s.peer_before();
    match ack {
        Ack::Exact => highest(peer.map(|seen| seen.digest.seq_end())) == Some(acked),
        Ack::Initial => {
            peer.any(|seen| seen.digest.flags.has(TcpFlags::SYN) && seen.digest.seq == acked)
        }
    }
}

fn may_start_at(initial: u8, ttl: u8) -> bool {
    const FARTHEST: u8 = 31;
    initial
        .checked_sub(ttl)
        .is_some_and(|hops| hops <= FARTHEST)
}

#[cfg(test)]
mod tests;
