//! Which segments a sampling vantage ships: hash-based selection (RFC 5475, section 6.2), so that every
//! vantage picks the same packets without talking to the others.
//!
//! The hash covers what no hop changes on the way: payload (its hash and length), TCP timestamps, and the
//! flags but for ECN's. Left out are TTL, TOS and checksums, which every hop may change; addresses, ports
//! and sequence numbers, which NAT and firewalls rewrite; the window and the MSS, which some clamp; and the
//! IP identification, which offload makes up. A segment with neither payload nor timestamps tells too little
//! to be drawn by chance: all of its kind would be picked, or none, so none is.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use crate::digest::{Digest, TcpFlags};
use crate::evidence::Selection;

/// One segment in so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct OneIn(NonZeroU32);

impl OneIn {
    /// `None` for 0.
    pub const fn new(count: u32) -> Option<Self> {
        match NonZeroU32::new(count) {
            Some(count) => Some(Self(count)),
            None => None,
        }
    }

    pub const fn get(self) -> u32 {
        self.0.get()
    }

    /// Whether the segment is in the sample. What is in the sample of a lower rate is in that of a higher one.
    pub fn picks(self, digest: &Digest) -> bool {
        hash(digest).is_some_and(|hash| hash <= u64::MAX / u64::from(self.get()))
    }
}

impl fmt::Display for OneIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1/{}", self.0)
    }
}

/// `context`, `sampled:1/N` or `all`.
impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Context => f.write_str("context"),
            Self::All => f.write_str("all"),
            Self::Sampled(one_in) => write!(f, "sampled:{one_in}"),
        }
    }
}

/// A text names no selection of segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SelectionError;

impl fmt::Display for SelectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected context, sampled:1/N (N from 1 to 4294967295) or all")
    }
}

impl std::error::Error for SelectionError {}

impl FromStr for Selection {
    type Err = SelectionError;

    fn from_str(text: &str) -> Result<Self, SelectionError> {
        match text {
            "context" => Ok(Self::Context),
            "all" => Ok(Self::All),
            _ => text
                .strip_prefix("sampled:1/")
                .and_then(|count| OneIn::new(count.parse().ok()?))
                .map(Self::Sampled)
                .ok_or(SelectionError),
        }
    }
}

/// `None`: nothing in it tells it from its like at every vantage. A payload that one capture cut before its
/// hash may be whole at another: it is in no sample.
fn hash(digest: &Digest) -> Option<u64> {
    const ECN: u16 = TcpFlags::ECE.0 | TcpFlags::CWR.0 | TcpFlags::NS.0;
    let payload = match (digest.payload_len, digest.payload_hash) {
        (0, _) => 0,
        (_, Some(hash)) => hash,
        (_, None) => return None,
    };
    let stamps = digest.options.timestamps;
    if payload == 0 && stamps.is_none() {
        return None;
    }
    let mut bytes = [0_u8; 22];
    bytes[..8].copy_from_slice(&payload.to_be_bytes());
    bytes[8..12].copy_from_slice(&digest.payload_len.to_be_bytes());
    bytes[12..16].copy_from_slice(&stamps.map_or(0, |stamps| stamps.value).to_be_bytes());
    bytes[16..20].copy_from_slice(&stamps.map_or(0, |stamps| stamps.echo).to_be_bytes());
    bytes[20..].copy_from_slice(&(digest.flags.0 & !ECN).to_be_bytes());
    Some(xxhash_rust::xxh3::xxh3_64(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Timestamps;
    use crate::{CaptureTime, Endpoint, FourTuple, TcpSeq};

    fn segment(payload_hash: Option<u64>, stamp: Option<u32>) -> Digest {
        let end = |last: u8, port| Endpoint::new([192, 0, 2, last].into(), port);
        Digest {
            time: CaptureTime::from_nanos(1),
            tuple: FourTuple::new(end(1, 40000), end(2, 80)),
            seq: TcpSeq(7),
            ack: TcpSeq(9),
            flags: TcpFlags::ACK,
            window: 100,
            payload_len: payload_hash.map_or(0, |_| 99),
            payload_hash,
            rst_reason: None,
            options: crate::digest::TcpOptions {
                timestamps: stamp.map(|value| Timestamps { value, echo: 1 }),
                ..Default::default()
            },
            ip: crate::digest::IpFields::default(),
            link: crate::digest::LinkFields::default(),
        }
    }

    #[test]
    fn a_selection_is_context_a_sample_or_all() {
        for text in ["context", "all", "sampled:1/100"] {
            let selection: Selection = text.parse().expect(text);
            assert_eq!(selection.to_string(), text);
        }
        for text in [
            "",
            "some",
            "sampled",
            "sampled:100",
            "sampled:1/0",
            "sampled:1/x",
        ] {
            assert_eq!(text.parse::<Selection>(), Err(SelectionError), "{text}");
        }
    }

    #[test]
    fn a_packet_is_picked_alike_whatever_hops_rewrite() {
        let one_in = OneIn::new(4).unwrap();
        for payload in 1..200_u64 {
            let here = segment(Some(payload << 40), Some(5));
            let mut there = here;
            there.tuple = there.tuple.reversed();
            there.seq = TcpSeq(1234);
            there.ack = TcpSeq(4321);
            there.window = 7;
            there.ip.ttl = 3;
            there.ip.id = Some(77);
            there.ip.traffic_class = 3;
            there.flags = there.flags.with(TcpFlags::ECE);
            assert_eq!(one_in.picks(&here), one_in.picks(&there));
        }
    }

    #[test]
    fn about_one_in_so_many_is_picked_and_a_higher_rate_picks_more_of_the_same() {
        let (tenth, hundredth) = (OneIn::new(10).unwrap(), OneIn::new(100).unwrap());
        let all: Vec<Digest> = (0..20_000)
            .map(|stamp| segment(None, Some(stamp)))
            .collect();
        let picked = |rate: OneIn| all.iter().filter(|digest| rate.picks(digest)).count();
        assert!((1800..2200).contains(&picked(tenth)), "{}", picked(tenth));
        assert!((150..250).contains(&picked(hundredth)));
        assert!(
            all.iter()
                .all(|digest| tenth.picks(digest) || !hundredth.picks(digest))
        );
    }

    #[test]
    fn what_cannot_be_told_from_its_like_everywhere_is_in_no_sample() {
        let all = OneIn::new(1).unwrap();
        assert!(!all.picks(&segment(None, None)));
        let mut cut = segment(Some(1), Some(1));
        cut.payload_hash = None;
        assert!(!all.picks(&cut));
        assert!(all.picks(&segment(Some(1), None)));
    }
}
