//! The digest: the fixed-size record of one TCP segment at one vantage.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use serde::{Deserialize, Serialize};

use crate::flow::{Endpoint, FourTuple};
use crate::reason::ResetReason;
use crate::seq::TcpSeq;
use crate::time::CaptureTime;
use crate::tunnel::Tunnel;

/// One TCP segment as one vantage saw it. Payload never leaves the vantage, only its length and a
/// hash of its first octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Digest {
    pub time: CaptureTime,
    pub tuple: FourTuple,
    pub seq: TcpSeq,
    /// The acknowledgement field as carried; it means something only with [`TcpFlags::ACK`].
    pub ack: TcpSeq,
    pub flags: TcpFlags,
    /// As carried, not scaled.
    pub window: u16,
    /// Payload octets by the IP header's length, whether captured or not.
    pub payload_len: u32,
    /// xxh3-64 of the first [`PAYLOAD_HASH_OCTETS`] octets of payload (all of a shorter payload);
    /// `None` without payload or when the capture cut it before them.
    pub payload_hash: Option<u64>,
    pub options: TcpOptions,
    /// The reason that a RST carries (MPTCP option, diagnostic payload): a claim of whoever made it.
    pub rst_reason: Option<ResetReason>,
    pub ip: IpFields,
    pub link: LinkFields,
}

/// How much of a payload its hash covers: little enough to be whole within the default snaplen.
pub const PAYLOAD_HASH_OCTETS: usize = 32;

impl Digest {
    /// All zero: a place for a segment to be [decoded into](crate::decode::decode_into).
    pub const BLANK: Self = {
        let nowhere = Endpoint::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
        Self {
            time: CaptureTime::from_nanos(0),
            tuple: FourTuple::new(nowhere, nowhere),
            seq: TcpSeq(0),
            ack: TcpSeq(0),
            flags: TcpFlags(0),
            window: 0,
            payload_len: 0,
            payload_hash: None,
            options: TcpOptions::NONE,
            rst_reason: None,
            ip: IpFields {
                ttl: 0,
                id: None,
                dont_fragment: false,
                traffic_class: 0,
                fragment: false,
            },
            link: LinkFields {
                direction: Direction::Unknown,
                source: None,
                vlans: [None, None],
                interface: 0,
                tunnel: None,
            },
        }
    };

    /// Octets of sequence space: payload, and one each for SYN and FIN (RFC 9293, 3.4).
    pub fn seq_len(&self) -> u32 {
        self.payload_len
            .wrapping_add(u32::from(self.flags.has(TcpFlags::SYN)))
            .wrapping_add(u32::from(self.flags.has(TcpFlags::FIN)))
    }

    /// The sequence number after this segment.
    pub fn seq_end(&self) -> TcpSeq {
        self.seq.plus(self.seq_len())
    }

    /// Whether `later`, an equal segment at the same vantage, is the same packet recorded twice: on two
    /// interfaces of one machine ("any" devices, routers, before and behind a tunnel's end), or by a
    /// mirror port.
    pub fn is_doubled_by(&self, later: &Self) -> bool {
        const AT_ONCE: i64 = crate::time::MILLISECOND;
        // The machine in between decrements it once or twice; a forger's next packet has another of its own.
        let hops = i16::from(self.ip.ttl) - i16::from(later.ip.ttl);
        let same_id = self.ip.id.is_some_and(|id| id != 0) && self.ip.id == later.ip.id;
        let elsewhere = self.link.interface != later.link.interface
            || hops != 0
            || self.link.direction != later.link.direction
            || self.link.tunnel != later.link.tunnel;
        let at_once = later.time.since(self.time).saturating_abs() < AT_ONCE;
        at_once && (0..=2).contains(&hops) && (same_id || elsewhere)
    }

    pub fn is_rst(&self) -> bool {
        self.flags.has(TcpFlags::RST)
    }

    /// A connection request: SYN without ACK.
    pub fn is_syn(&self) -> bool {
        self.flags.has(TcpFlags::SYN) && !self.flags.has(TcpFlags::ACK) && !self.is_rst()
    }

    /// The answer to a connection request: SYN with ACK.
    pub fn is_syn_ack(&self) -> bool {
        self.flags.has(TcpFlags::SYN) && self.flags.has(TcpFlags::ACK) && !self.is_rst()
    }

    pub fn is_fin(&self) -> bool {
        self.flags.has(TcpFlags::FIN)
    }

    /// The acknowledgement number, where the ACK flag says that there is one.
    pub fn acked(&self) -> Option<TcpSeq> {
        self.flags.has(TcpFlags::ACK).then_some(self.ack)
    }
}

/// The TCP header's flag bits, FIN lowest, the ECN nonce bit (RFC 3540) highest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct TcpFlags(pub u16);

impl TcpFlags {
    pub const FIN: Self = Self(1);
    pub const SYN: Self = Self(2);
    pub const RST: Self = Self(4);
    pub const PSH: Self = Self(8);
    pub const ACK: Self = Self(16);
    pub const URG: Self = Self(32);
    pub const ECE: Self = Self(64);
    pub const CWR: Self = Self(128);
    pub const NS: Self = Self(256);

    pub const fn has(self, flag: Self) -> bool {
        self.0 & flag.0 != 0
    }

    #[must_use]
    pub const fn with(self, flag: Self) -> Self {
        Self(self.0 | flag.0)
    }
}

/// One letter a flag: a RST as the contract has it (`R`, `RA`, `RAP`), others as is usual (`S`, `SA`, `PA`,
/// `FA`, `A`).
impl fmt::Display for TcpFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const RESET: &[(TcpFlags, char)] = &[
            (TcpFlags::RST, 'R'),
            (TcpFlags::ACK, 'A'),
            (TcpFlags::PSH, 'P'),
            (TcpFlags::FIN, 'F'),
            (TcpFlags::URG, 'U'),
            (TcpFlags::SYN, 'S'),
        ];
        const OTHER: &[(TcpFlags, char)] = &[
            (TcpFlags::SYN, 'S'),
            (TcpFlags::FIN, 'F'),
            (TcpFlags::PSH, 'P'),
            (TcpFlags::URG, 'U'),
            (TcpFlags::ACK, 'A'),
        ];
        const ECN: &[(TcpFlags, char)] = &[
            (TcpFlags::ECE, 'E'),
            (TcpFlags::CWR, 'W'),
            (TcpFlags::NS, 'N'),
        ];
        let order = if self.has(Self::RST) { RESET } else { OTHER };
        if self.0 == 0 {
            return f.write_str("-");
        }
        order
            .iter()
            .chain(ECN)
            .filter(|(flag, _)| self.has(*flag))
            .try_for_each(|(_, letter)| fmt::Write::write_char(f, *letter))
    }
}

/// What the TCP options say, and in which order they stand (a fingerprint of the stack).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct TcpOptions {
    pub mss: Option<u16>,
    pub window_scale: Option<u8>,
    pub sack_permitted: bool,
    pub timestamps: Option<Timestamps>,
    /// The first block of the SACK option (RFC 2018): the one that was received last.
    pub sack: Option<SackBlock>,
    /// The option kinds in order, four bits each, first option lowest, `0` ends the list: kinds 1
    /// to 8 as themselves, others as 15. Options past the sixteenth are left out.
    pub order: u64,
    /// The capture or the header ended within the options: what is missing here may have been sent.
    pub cut: bool,
}

impl TcpOptions {
    /// A header without options.
    pub const NONE: Self = Self {
        mss: None,
        window_scale: None,
        sack_permitted: false,
        timestamps: None,
        sack: None,
        order: 0,
        cut: false,
    };
}

/// TCP timestamps (RFC 7323).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Timestamps {
    pub value: u32,
    pub echo: u32,
}

/// Data that arrived out of order, as its receiver acknowledges it: from `left` up to before `right`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SackBlock {
    pub left: TcpSeq,
    pub right: TcpSeq,
}

/// What the IP header says; in a tunnel the inner one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct IpFields {
    /// TTL (IPv4) or hop limit (IPv6).
    pub ttl: u8,
    /// IPv4 identification; IPv6 has none outside its fragment header.
    pub id: Option<u16>,
    pub dont_fragment: bool,
    /// TOS octet (IPv4) or traffic class (IPv6): DSCP and ECN.
    pub traffic_class: u8,
    /// The packet is the first fragment of a larger one.
    pub fragment: bool,
}

/// What the link layer says, and the tunnel that the segment travelled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct LinkFields {
    pub direction: Direction,
    /// Source MAC address, where the link type carries one.
    pub source: Option<[u8; 6]>,
    /// VLAN ids, outer tag first.
    pub vlans: [Option<u16>; 2],
    /// Index of the interface within the agent's run or the pcapng section.
    pub interface: u8,
    /// `None`: the segment was not tunnelled.
    pub tunnel: Option<Tunnel>,
}

/// Whether the capturing machine sent or received the packet. Only cooked link types say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum Direction {
    #[default]
    Unknown,
    In,
    Out,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_print_as_the_contract_and_custom_have_them() {
        let told = |bits: &[TcpFlags]| {
            let all = bits.iter().fold(TcpFlags(0), |all, flag| all.with(*flag));
            all.to_string()
        };
        assert_eq!(told(&[TcpFlags::RST]), "R");
        assert_eq!(told(&[TcpFlags::ACK, TcpFlags::RST]), "RA");
        assert_eq!(told(&[TcpFlags::PSH, TcpFlags::ACK, TcpFlags::RST]), "RAP");
        assert_eq!(told(&[TcpFlags::ACK, TcpFlags::PSH]), "PA");
        assert_eq!(told(&[TcpFlags::SYN, TcpFlags::ACK, TcpFlags::ECE]), "SAE");
        assert_eq!(told(&[]), "-");
    }
}
