//! Any digest.

use std::net::IpAddr;

use parallax_core::digest::{
    Direction, IpFields, LinkFields, SackBlock, TcpFlags, TcpOptions, Timestamps,
};
use parallax_core::reason::ResetReason;
use parallax_core::tunnel::{Tunnel, TunnelEnds, TunnelKind};
use parallax_core::{CaptureTime, Digest, Endpoint, FourTuple, TcpSeq};
use proptest::option;
use proptest::prelude::*;

fn addresses() -> impl Strategy<Value = (IpAddr, IpAddr)> {
    prop_oneof![
        any::<([u8; 4], [u8; 4])>().prop_map(|(a, b)| (a.into(), b.into())),
        any::<([u8; 16], [u8; 16])>().prop_map(|(a, b)| (a.into(), b.into())),
    ]
}

fn tuples() -> impl Strategy<Value = FourTuple> {
    (addresses(), any::<(u16, u16)>())
        .prop_map(|((a, b), (p, q))| FourTuple::new(Endpoint::new(a, p), Endpoint::new(b, q)))
}

fn options() -> impl Strategy<Value = TcpOptions> {
    let stamps = option::of(any::<(u32, u32)>());
    let sack = option::of(any::<(u32, u32)>());
    (
        any::<(Option<u16>, Option<u8>, bool, u64, bool)>(),
        stamps,
        sack,
    )
        .prop_map(
            |((mss, window_scale, sack_permitted, order, cut), stamps, sack)| TcpOptions {
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

fn ips() -> impl Strategy<Value = IpFields> {
    any::<(u8, Option<u16>, bool, u8, bool)>().prop_map(
        |(ttl, id, dont_fragment, traffic_class, fragment)| IpFields {
            ttl,
            id,
            dont_fragment,
            traffic_class,
            fragment,
        },
    )
}

fn tunnels() -> impl Strategy<Value = Tunnel> {
    let ends = option::of(addresses().prop_map(|(src, dst)| TunnelEnds { src, dst }));
    let kinds = prop::sample::select(TunnelKind::ALL.to_vec());
    (kinds, 1_u8.., ends, any::<Option<u32>>()).prop_map(|(kind, depth, ends, id)| Tunnel {
        kind,
        depth,
        ends,
        id,
    })
}

fn links() -> impl Strategy<Value = LinkFields> {
    let directions = prop_oneof![
        Just(Direction::Unknown),
        Just(Direction::In),
        Just(Direction::Out)
    ];
    let vlans = prop_oneof![
        Just([None, None]),
        any::<u16>().prop_map(|a| [Some(a), None]),
        any::<(u16, u16)>().prop_map(|(a, b)| [Some(a), Some(b)]),
    ];
    let tunnel = option::of(tunnels());
    (
        directions,
        any::<Option<[u8; 6]>>(),
        vlans,
        any::<u8>(),
        tunnel,
    )
        .prop_map(|(direction, source, vlans, interface, tunnel)| LinkFields {
            direction,
            source,
            vlans,
            interface,
            tunnel,
        })
}

/// None, or any that a RST can carry.
fn reasons() -> impl Strategy<Value = Option<ResetReason>> {
    let payload =
        |code: u16, enterprise: u32| 2 << 48 | u64::from(code) << 32 | u64::from(enterprise);
    prop_oneof![
        Just(None),
        (0_u64..512).prop_map(|mptcp| ResetReason::from_number(1 << 48 | mptcp)),
        (1_u16.., any::<u32>()).prop_map(move |(code, enterprise)| ResetReason::from_number(
            payload(code, enterprise)
        )),
    ]
}

/// Any digest that a packet can give.
pub fn digests() -> impl Strategy<Value = Digest> {
    let segment = (
        any::<(i64, u32, u32)>(),
        0_u16..512,
        any::<(u16, u32)>(),
        option::of(1_u64..),
    );
    let segment = (segment, reasons());
    (segment, tuples(), options(), ips(), links()).prop_map(
        |((segment, rst_reason), tuple, options, ip, link)| {
            let ((time, seq, ack), flags, (window, payload_len), hash) = segment;
            Digest {
                time: CaptureTime::from_nanos(time),
                tuple,
                seq: TcpSeq(seq),
                ack: TcpSeq(ack),
                flags: TcpFlags(flags),
                window,
                payload_len,
                payload_hash: hash,
                options,
                rst_reason,
                ip,
                link,
            }
        },
    )
}
