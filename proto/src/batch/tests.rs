//! Round trip, every refusal, and no panic on any message.

mod any;

use parallax_core::digest::{IpFields, LinkFields, TcpFlags, TcpOptions, Timestamps};
use parallax_core::{CaptureTime, Digest, Endpoint, FourTuple, TcpSeq};
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;

use any::digests;

use super::*;
use crate::v1::{self, FlowColumns, FlowTuple, Shape};

fn digest() -> Digest {
    Digest {
        rst_reason: None,
        time: CaptureTime::from_nanos(1_767_323_045_000_000_000),
        tuple: FourTuple::new(
            Endpoint::new("192.0.2.1".parse().unwrap(), 40_000),
            Endpoint::new("198.51.100.1".parse().unwrap(), 443),
        ),
        seq: TcpSeq(1),
        ack: TcpSeq(2),
        flags: TcpFlags::RST,
        window: 0,
        payload_len: 0,
        payload_hash: None,
        options: TcpOptions {
            timestamps: Some(Timestamps { value: 1, echo: 2 }),
            ..TcpOptions::default()
        },
        ip: IpFields::default(),
        link: LinkFields::default(),
    }
}

proptest! {
    #[test]
    fn what_was_encoded_is_decoded_again(
        first in 0..NUMBER_MAX - 64,
        sent in vec(digests(), 0..64),
        repeat in 1_usize..4,
    ) {
        let sent: Vec<Digest> = sent.iter().copied().cycle().take(sent.len() * repeat).collect();
        let batches = [encode(first, &sent), encode_in_columns(first, &sent)];
        let expected: Vec<(u64, Digest)> = (first..).zip(sent).collect();
        for batch in batches {
            let wire = batch.encode_to_vec();
            let received = decode(DigestBatch::decode(wire.as_slice()).unwrap()).unwrap();
            prop_assert_eq!(&received, &expected);
        }
    }

    #[test]
    fn no_message_makes_it_panic(bytes in vec(any::<u8>(), 0..512)) {
        if let Ok(batch) = DigestBatch::decode(bytes.as_slice()) {
            let _ = decode(batch);
        }
    }

    /// Starts from a good batch, so that the damage reaches the later checks too.
    #[test]
    fn no_damage_to_a_good_batch_makes_it_panic(
        sent in vec(digests(), 1..8),
        column in 0..32_usize,
        at in 0..8_usize,
        value: u32,
        octets in vec(any::<u8>(), 0..20),
    ) {
        let mut batch = if column < 27 { encode(7, &sent) } else { encode_in_columns(7, &sent) };
        match &mut batch.flow_columns {
            Some(columns) => damage_columns(columns, column, octets),
            None => damage(&mut batch, column, at, value, octets),
        }
        let count = batch.flow.len();
        if let Ok(received) = decode(batch) {
            prop_assert_eq!(received.len(), count);
        }
    }
}

fn damage(batch: &mut DigestBatch, column: usize, at: usize, value: u32, octets: Vec<u8>) {
    let at = at % batch.flow.len();
    let (flow, shape) = (at % batch.flows.len(), at % batch.shapes.len());
    match column {
        0 => batch.flow[at] = value,
        1 => batch.flags[at] = value,
        2 => batch.window[at] = value,
        3 => batch.ip_id[at] = value,
        4 => batch.shape[at] = value,
        5 => batch.marks = octets,
        6 => batch.ttl = octets,
        7 => batch.traffic_class = octets,
        8 => batch.interface = octets,
        9 => batch.timestamps.push(value),
        10 => batch.timestamps.truncate(at),
        11 => batch.flows[flow].low_addr = octets,
        12 => batch.flows[flow].high_addr = octets,
        13 => batch.flows[flow].low_port = value,
        14 => batch.flows[flow].high_port = value,
        15 => batch.shapes[shape].link_source = Some(octets),
        16 => batch.shapes[shape].vlans.push(value),
        17 => batch.shapes[shape].mss = Some(value),
        18 => batch.shapes[shape].window_scale = Some(value),
        19 => batch.flows.clear(),
        20 => batch.shapes.push(Shape::default()),
        21 => batch.sack.push(value),
        22..=25 => damage_tunnel(&mut batch.shapes[shape], column, value, octets),
        _ => batch.first_number = u64::MAX - u64::from(value),
    }
}

fn damage_columns(columns: &mut FlowColumns, column: usize, octets: Vec<u8>) {
    match column {
        27 => columns.family = octets,
        28 => columns.v4 = octets,
        29 => columns.v6 = octets,
        30 => columns.ports = octets,
        _ => columns.family.reverse(),
    }
}

fn damage_tunnel(shape: &mut Shape, column: usize, value: u32, octets: Vec<u8>) {
    let tunnel = shape.tunnel.get_or_insert_default();
    match column {
        22 => tunnel.kind = value.cast_signed(),
        23 => tunnel.depth = value,
        24 => tunnel.src = octets,
        _ => tunnel.dst = octets,
    }
}

fn refusal(change: impl FnOnce(&mut DigestBatch)) -> BatchError {
    let mut batch = encode(0, &[digest(), digest()]);
    change(&mut batch);
    decode(batch).unwrap_err()
}

#[test]
fn an_empty_batch_is_no_digests() {
    assert_eq!(decode(encode(5, &[])), Ok(vec![]));
}

#[test]
fn columns_that_disagree_in_length_are_refused() {
    let error = refusal(|batch| batch.seq.push(1));
    assert_eq!(
        error.to_string(),
        "column `seq` has 3 entries, not 2",
        "{error:?}"
    );
    for change in [
        (|batch| batch.time_delta.clear()) as fn(&mut DigestBatch),
        |batch| batch.ack.clear(),
        |batch| batch.flags.clear(),
        |batch| batch.window.clear(),
        |batch| batch.payload_len.clear(),
        |batch| batch.payload_hash.clear(),
        |batch| batch.ttl.clear(),
        |batch| batch.ip_id.clear(),
        |batch| batch.traffic_class.clear(),
        |batch| batch.marks.clear(),
        |batch| batch.interface.clear(),
        |batch| batch.shape.clear(),
        |batch| batch.timestamps.clear(),
    ] {
        assert!(matches!(
            refusal(change),
            BatchError::ColumnLength { found: 0, .. }
        ));
    }
}

#[test]
fn an_index_past_its_table_is_refused() {
    for (column, error) in [
        (Column::Flow, refusal(|batch| batch.flow[1] = 0)),
        (Column::Flow, refusal(|batch| batch.flow[1] = 4)),
        (Column::Shape, refusal(|batch| batch.shape[1] = 1)),
    ] {
        assert!(matches!(
            error,
            BatchError::IndexOutOfRange { column: found, entry: 1, .. } if found == column
        ));
    }
}

#[test]
fn values_that_no_header_holds_are_refused() {
    for (column, error) in [
        (Column::Flags, refusal(|batch| batch.flags[1] = 512)),
        (Column::Window, refusal(|batch| batch.window[1] = 65_536)),
        (Column::IpId, refusal(|batch| batch.ip_id[1] = 65_537)),
    ] {
        assert!(matches!(
            error,
            BatchError::ValueTooLarge { column: found, entry: 1, .. } if found == column
        ));
    }
    assert_eq!(
        refusal(|batch| batch.marks = vec![0, 0x30]),
        BatchError::UnknownMarks {
            entry: 1,
            found: 0x30
        }
    );
}

#[test]
fn a_flow_with_a_wrong_port_address_family_or_order_is_refused() {
    let flow = |change: fn(&mut FlowTuple)| refusal(|batch| change(&mut batch.flows[0]));
    assert_eq!(
        flow(|row| row.low_port = 65_536),
        BatchError::Port {
            index: 0,
            found: 65_536
        }
    );
    assert_eq!(
        flow(|row| row.high_addr = vec![1; 5]),
        BatchError::AddressLength { index: 0, found: 5 }
    );
    assert_eq!(
        flow(|row| row.high_addr = vec![1; 16]),
        BatchError::MixedFamilies { index: 0 }
    );
    assert_eq!(
        flow(|row| row.low_addr = vec![255; 4]),
        BatchError::FlowOrder { index: 0 }
    );
}

#[test]
fn flow_columns_of_wrong_length_family_or_order_are_refused() {
    let flow = |change: fn(&mut FlowColumns)| {
        let mut batch = encode_in_columns(0, &[digest(), digest()]);
        change(batch.flow_columns.as_mut().unwrap());
        decode(batch).unwrap_err()
    };
    for (column, found, expected, change) in [
        (
            Column::V4,
            7,
            8,
            (|flows| flows.v4.truncate(7)) as fn(&mut FlowColumns),
        ),
        (Column::V4, 8, 0, |flows| flows.family = vec![6]),
        (Column::V6, 1, 0, |flows| flows.v6.push(1)),
        (Column::Ports, 5, 4, |flows| flows.ports.push(1)),
    ] {
        assert_eq!(
            flow(change),
            BatchError::ColumnLength {
                column,
                found,
                expected
            }
        );
    }
    assert_eq!(
        flow(|flows| flows.family = vec![5]),
        BatchError::Family { index: 0, found: 5 }
    );
    assert_eq!(
        flow(|flows| flows.v4[0] = 255),
        BatchError::FlowOrder { index: 0 }
    );
    assert!(matches!(
        flow(|flows| flows.family = vec![4; 3]),
        BatchError::TableTooLong {
            column: Column::Flows,
            found: 3,
            digests: 2
        }
    ));
}

#[test]
fn flows_in_rows_and_in_columns_are_one_table() {
    let other = Digest {
        tuple: FourTuple::new(
            Endpoint::new("2001:db8::1".parse().unwrap(), 40_000),
            Endpoint::new("2001:db8::2".parse().unwrap(), 443),
        ),
        ..digest()
    };
    let mut batch = encode_in_columns(0, &[digest(), other, digest()]);
    let narrow = encode(0, &[digest()]).flows;
    let wide = encode_in_columns(0, &[other]).flow_columns;
    batch.flows = narrow;
    batch.flow_columns = wide;
    let flows: Vec<Flow> = decode(batch)
        .unwrap()
        .iter()
        .map(|(_, digest)| digest.tuple.flow())
        .collect();
    let [one, two] = [digest(), other].map(|digest| digest.tuple.flow());
    assert_eq!(flows, [one, two, one]);
}

#[test]
fn what_is_alike_lies_together() {
    let flow = |last: u8, port: u16| Digest {
        tuple: FourTuple::new(
            Endpoint::new([192, 0, 2, last].into(), port),
            Endpoint::new([198, 51, 100, 1].into(), 443),
        ),
        ..digest()
    };
    let batch = encode_in_columns(0, &[flow(1, 0x1234), flow(2, 0x5678)]);
    let columns = batch.flow_columns.unwrap();
    assert_eq!(columns.family, [4, 4]);
    assert_eq!(
        columns.v4,
        [192, 192, 0, 0, 2, 2, 1, 2, 198, 198, 51, 51, 100, 100, 1, 1]
    );
    assert_eq!(columns.ports, [0x12, 0x56, 0x34, 0x78, 1, 1, 187, 187]);
    assert!(columns.v6.is_empty() && batch.flows.is_empty());
}

#[test]
fn a_shape_with_a_wrong_mac_vlan_or_option_is_refused() {
    let shape = |change: fn(&mut Shape)| refusal(|batch| change(&mut batch.shapes[0]));
    assert_eq!(
        shape(|row| row.link_source = Some(vec![0; 8])),
        BatchError::LinkSourceLength { index: 0, found: 8 }
    );
    assert_eq!(
        shape(|row| row.vlans = vec![1, 2, 3]),
        BatchError::TooManyVlans { index: 0, found: 3 }
    );
    for (name, change) in [
        ("vlans", (|row| row.vlans = vec![65_536]) as fn(&mut Shape)),
        ("mss", |row| row.mss = Some(65_536)),
        ("window_scale", |row| row.window_scale = Some(256)),
    ] {
        let error = shape(change);
        assert!(
            matches!(error, BatchError::ShapeValue { field, .. } if field == name),
            "{error}"
        );
    }
}

#[test]
fn a_tunnel_of_unknown_kind_impossible_depth_or_unlike_ends_is_refused() {
    let tunnel = |kind, depth, src: usize, dst: usize| {
        refusal(|batch| {
            batch.shapes[0].tunnel = Some(v1::Tunnel {
                kind,
                depth,
                src: vec![1; src],
                dst: vec![1; dst],
                id: None,
            });
        })
    };
    let index = 0;
    for found in [0, 8, -1] {
        let refused = BatchError::TunnelKind { index, found };
        assert_eq!(tunnel(found, 1, 0, 0), refused);
    }
    for found in [0, 256] {
        let refused = BatchError::TunnelDepth { index, found };
        assert_eq!(tunnel(1, found, 0, 0), refused);
    }
    for (src, dst) in [(4, 16), (0, 4), (16, 0), (5, 5)] {
        let refused = BatchError::TunnelEnds { index, src, dst };
        assert_eq!(tunnel(1, 1, src, dst), refused);
    }
}

#[test]
fn blocks_of_selective_acknowledgements_are_as_many_as_the_marks_say() {
    for change in [
        (|batch| batch.sack.push(1)) as fn(&mut DigestBatch),
        |batch| batch.marks[1] |= 0x40,
    ] {
        let error = refusal(change);
        assert!(
            matches!(
                error,
                BatchError::ColumnLength {
                    column: Column::Sack,
                    ..
                }
            ),
            "{error}"
        );
    }
}

#[test]
fn reasons_are_as_many_as_the_marks_say_and_make_sense() {
    for change in [
        (|batch| batch.rst_reason.push(1 << 48)) as fn(&mut DigestBatch),
        |batch| batch.marks[1] |= 0x80,
    ] {
        let error = refusal(change).to_string();
        assert!(error.contains("rst_reason"), "{error}");
    }
    let nonsense = refusal(|batch| {
        batch.marks[1] |= 0x80;
        batch.rst_reason.push(7);
    });
    assert_eq!(nonsense, BatchError::UnknownReason { entry: 1, found: 7 });
}

#[test]
fn what_is_not_there_is_not_sent() {
    let batch = encode(0, &[digest(), digest()]);
    assert!(batch.sack.is_empty());
    assert_eq!(batch.shapes.len(), 1);
    assert_eq!(batch.shapes[0].tunnel, None);
}

#[test]
fn numbers_past_the_signed_range_are_refused() {
    assert_eq!(
        refusal(|batch| batch.first_number = NUMBER_MAX - 1),
        BatchError::NumberOverflow {
            first: NUMBER_MAX - 1,
            count: 2
        }
    );
    assert!(matches!(
        refusal(|batch| batch.first_number = u64::MAX),
        BatchError::NumberOverflow { .. }
    ));
}

#[test]
fn a_batch_or_a_table_that_is_too_long_is_refused() {
    assert_eq!(
        refusal(|batch| batch.flow.resize(BATCH_MAX + 1, 0)),
        BatchError::TooMany {
            found: BATCH_MAX + 1
        }
    );
    assert!(matches!(
        refusal(|batch| batch.flows.resize(3, FlowTuple::default())),
        BatchError::TableTooLong {
            column: Column::Flows,
            ..
        }
    ));
}

#[test]
fn a_batch_of_one_flow_costs_few_octets_a_digest() {
    let sent: Vec<Digest> = (0..1000)
        .map(|i| Digest {
            time: digest().time.plus(i * 12_345),
            ..digest()
        })
        .collect();
    let octets = encode(0, &sent).encoded_len();
    assert!(octets < 42_000, "{octets} octets for 1000 digests");
}
