//! Digests to store.

use parallax_core::digest::{
    Digest, Direction, IpFields, LinkFields, SackBlock, TcpFlags, TcpOptions, Timestamps,
};
use parallax_core::reason::ResetReason;
use parallax_core::tunnel::{Tunnel, TunnelEnds, TunnelKind};
use parallax_core::{CaptureTime, Endpoint, FourTuple, TcpSeq};
use proptest::prelude::*;

/// 2026-01-02T03:04:05Z.
pub const EPOCH: i64 = 1_767_323_045_000_000_000;
pub const MS: i64 = 1_000_000;

pub fn at(millis: i64) -> CaptureTime {
    CaptureTime::from_nanos(EPOCH + millis * MS)
}

pub fn tuple(client_port: u16) -> FourTuple {
    FourTuple::new(
        Endpoint::new("192.0.2.10".parse().unwrap(), client_port),
        Endpoint::new("198.51.100.20".parse().unwrap(), 443),
    )
}

pub fn segment(tuple: FourTuple, millis: i64, flags: u16, seq: u32, ack: u32) -> Digest {
    Digest {
        time: at(millis),
        tuple,
        seq: TcpSeq(seq),
        ack: TcpSeq(ack),
        flags: TcpFlags(flags),
        window: 502,
        payload_len: 0,
        payload_hash: None,
        options: TcpOptions::default(),
        rst_reason: None,
        ip: IpFields {
            ttl: 64,
            id: Some(0),
            dont_fragment: true,
            ..IpFields::default()
        },
        link: LinkFields::default(),
    }
}

pub const SYN: u16 = 2;
pub const RST: u16 = 4;
pub const ACK: u16 = 16;

/// A refused connection: SYN, then RST+ACK.
pub fn refused(client_port: u16, millis: i64) -> Vec<Digest> {
    let there = tuple(client_port);
    vec![
        segment(there, millis, SYN, 1000, 0),
        segment(there.reversed(), millis + 1, RST | ACK, 0, 1001),
    ]
}

fn any_tunnel() -> impl Strategy<Value = Tunnel> {
    let ends = prop_oneof![
        any::<([u8; 4], [u8; 4])>().prop_map(|(a, b)| (a.into(), b.into())),
        any::<([u8; 16], [u8; 16])>().prop_map(|(a, b)| (a.into(), b.into())),
    ];
    let ends = ends.prop_map(|(src, dst)| TunnelEnds { src, dst });
    let kinds = prop::sample::select(TunnelKind::ALL.to_vec());
    let numbers = any::<(u8, Option<u32>)>();
    (kinds, proptest::option::of(ends), numbers).prop_map(|(kind, ends, (depth, id))| Tunnel {
        kind,
        depth,
        ends,
        id,
    })
}

/// Any digest of this 4-tuple; every field takes every value that its type has.
pub fn any_digest(tuple: FourTuple) -> impl Strategy<Value = Digest> {
    let numbers = (
        any::<i64>(),
        any::<u32>(),
        any::<u32>(),
        0_u16..512,
        any::<u16>(),
        any::<u32>(),
    );
    let payload_hash = any::<Option<u64>>();
    let options = (
        any::<Option<u16>>(),
        any::<Option<u8>>(),
        any::<bool>(),
        any::<Option<(u32, u32)>>(),
        any::<u64>(),
        any::<bool>(),
        any::<Option<(u32, u32)>>(),
    );
    let ip = (
        any::<u8>(),
        any::<Option<u16>>(),
        any::<bool>(),
        any::<u8>(),
        any::<bool>(),
    );
    let link = (
        0_u8..3,
        any::<Option<[u8; 6]>>(),
        any::<[Option<u16>; 2]>(),
        any::<u8>(),
        proptest::option::of(any_tunnel()),
    );
    let way = any::<bool>();
    let claims = (payload_hash, any::<Option<(bool, u16, u32)>>());
    (numbers, claims, options, ip, link, way).prop_map(
        move |(numbers, (payload_hash, reason), options, ip, link, way)| Digest {
            time: CaptureTime::from_nanos(numbers.0),
            tuple: if way { tuple } else { tuple.reversed() },
            seq: TcpSeq(numbers.1),
            ack: TcpSeq(numbers.2),
            flags: TcpFlags(numbers.3),
            window: numbers.4,
            payload_len: numbers.5,
            payload_hash,
            options: TcpOptions {
                mss: options.0,
                window_scale: options.1,
                sack_permitted: options.2,
                timestamps: options.3.map(|(value, echo)| Timestamps { value, echo }),
                sack: options.6.map(|(left, right)| SackBlock {
                    left: TcpSeq(left),
                    right: TcpSeq(right),
                }),
                order: options.4,
                cut: options.5,
            },
            rst_reason: reason.and_then(|(mptcp, code, more)| {
                ResetReason::from_number(if mptcp {
                    1 << 48 | u64::from(code & 0x1ff)
                } else {
                    2 << 48 | u64::from(code) << 32 | u64::from(more)
                })
            }),
            ip: IpFields {
                ttl: ip.0,
                id: ip.1,
                dont_fragment: ip.2,
                traffic_class: ip.3,
                fragment: ip.4,
            },
            link: LinkFields {
                direction: [Direction::Unknown, Direction::In, Direction::Out][usize::from(link.0)],
                source: link.1,
                vlans: link.2,
                interface: link.3,
                tunnel: link.4,
            },
        },
    )
}
