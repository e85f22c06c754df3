//! Digests of any kind, for tests.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use crate::digest::{
    Digest, Direction, IpFields, LinkFields, SackBlock, TcpFlags, TcpOptions, Timestamps,
};
use crate::flow::{Endpoint, FourTuple};
use crate::reason::{DiagnosticReason, MptcpReason, ResetReason};
use crate::seq::TcpSeq;
use crate::time::CaptureTime;
use crate::tunnel::{Tunnel, TunnelEnds, TunnelKind};

/// Addresses and ports are few, so that digests have something in common.
pub fn any_endpoint() -> impl Strategy<Value = Endpoint> {
    let addr = prop_oneof![
        (1..4_u8).prop_map(|last| IpAddr::from(Ipv4Addr::new(192, 0, 2, last))),
        (1..3_u16).prop_map(|last| IpAddr::from(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last))),
    ];
    (addr, 1..4_u16).prop_map(|(addr, port)| Endpoint::new(addr, port))
}

fn any_options() -> impl Strategy<Value = TcpOptions> {
    (
        proptest::option::of(1400..1402_u16),
        proptest::option::of(0..3_u8),
        any::<bool>(),
        proptest::option::of(any::<(u32, u32)>()),
        proptest::option::of(any::<(u32, u32)>()),
        0..3_u64,
        any::<bool>(),
    )
        .prop_map(
            |(mss, window_scale, sack_permitted, stamps, sack, order, cut)| TcpOptions {
                mss,
                window_scale,
                sack_permitted,
                timestamps: stamps.map(|(value, echo)| Timestamps { value, echo }),
                sack: sack.map(|(left, right)| SackBlock {
                    left: TcpSeq(left),
                    right: TcpSeq(right),
                }),
                order,
                cut,
            },
        )
}

fn any_link() -> impl Strategy<Value = LinkFields> {
    let tunnel = (
        any_endpoint(),
        any_endpoint(),
        proptest::option::of(0..3_u32),
    )
        .prop_map(|(src, dst, id)| Tunnel {
            kind: TunnelKind::Vxlan,
            depth: 1,
            ends: Some(TunnelEnds {
                src: src.addr,
                dst: dst.addr,
            }),
            id,
        });
    (
        prop_oneof![
            Just(Direction::Unknown),
            Just(Direction::In),
            Just(Direction::Out)
        ],
        proptest::option::of(any::<[u8; 6]>()),
        proptest::option::of(0..3_u16),
        0..2_u8,
        proptest::option::of(tunnel),
    )
        .prop_map(|(direction, source, vlan, interface, tunnel)| LinkFields {
            direction,
            source,
            vlans: [vlan, None],
            interface,
            tunnel,
        })
}

pub fn any_digest() -> impl Strategy<Value = Digest> {
    let reason = prop_oneof![
        any::<u8>().prop_map(|code| ResetReason::Mptcp(MptcpReason {
            code,
            transient: true
        })),
        any::<u16>().prop_map(|code| ResetReason::Diagnostic(DiagnosticReason {
            code,
            enterprise: 7
        })),
    ];
    let ip = (
        62..65_u8,
        proptest::option::of(any::<u16>()),
        any::<bool>(),
        0..2_u8,
        any::<bool>(),
    )
        .prop_map(
            |(ttl, id, dont_fragment, traffic_class, fragment)| IpFields {
                ttl,
                id,
                dont_fragment,
                traffic_class,
                fragment,
            },
        );
    let numbers = (
        any::<u32>(),
        any::<u32>(),
        0..512_u16,
        any::<u16>(),
        any::<u32>(),
    );
    (
        any::<i64>(),
        (any_endpoint(), any_endpoint()),
        numbers,
        proptest::option::of(any::<u64>()),
        any_options(),
        proptest::option::of(reason),
        ip,
        any_link(),
    )
        .prop_map(
            |(
                time,
                (src, dst),
                (seq, ack, flags, window, payload_len),
                payload_hash,
                options,
                rst_reason,
                ip,
                link,
            )| {
                Digest {
                    time: CaptureTime::from_nanos(time),
                    tuple: FourTuple::new(src, dst),
                    seq: TcpSeq(seq),
                    ack: TcpSeq(ack),
                    flags: TcpFlags(flags),
                    window,
                    payload_len,
                    payload_hash,
                    options,
                    rst_reason,
                    ip,
                    link,
                }
            },
        )
}
