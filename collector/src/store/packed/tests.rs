use std::net::IpAddr;

use parallax_core::digest::{IpFields, LinkFields, TcpOptions};
use parallax_core::{CaptureTime, Endpoint, FourTuple, TcpSeq};

use super::*;
use crate::store::runs::Registered;

fn segment(step: u32, flags: u16) -> Digest {
    let end = |last: u8, port| Endpoint::new(IpAddr::from([192, 0, 2, last]), port);
    Digest {
        time: CaptureTime::from_nanos(i64::from(step) * 1_000_000),
        tuple: FourTuple::new(end(1, 40_000), end(2, 443)),
        seq: TcpSeq(step * 1448),
        ack: TcpSeq(7),
        flags: TcpFlags(flags),
        window: 500,
        payload_len: 1448,
        payload_hash: Some(u64::from(step) + 1),
        options: TcpOptions::default(),
        rst_reason: None,
        ip: IpFields::default(),
        link: LinkFields::default(),
    }
}

fn fresh(digests: &[Digest]) -> Fresh<'_> {
    Fresh {
        run: Registered {
            id: 3,
            vantage_id: 2,
            committed: 0,
        },
        first_number: 1000,
        digests,
    }
}

/// Packs every second digest, as if the others were of other flows.
fn packed(digests: &[Digest]) -> Vec<(Vec<u32>, PackedRow)> {
    let fresh = fresh(digests);
    let mut groups = Groups::default();
    for (index, digest) in digests.iter().enumerate().step_by(2) {
        groups.add(0, index, 77, digest);
    }
    let row = |group: &Group| {
        let of_group = |index: &u32| fresh.digests[*index as usize];
        let members: Vec<Digest> = group.members.iter().map(of_group).collect();
        let row = PackedRow {
            asked: 1,
            run_id: 3,
            first_number: 1000 + i64::from(group.members[0]),
            segments: group.members.len() as i16,
            octets: columns::write(&members, &gaps(&group.members)),
        };
        (group.members.clone(), row)
    };
    groups.all.iter().map(row).collect()
}

/// The octets that rows had before.
fn as_before(digests: &[Digest], gaps: Vec<u64>) -> Vec<u8> {
    let pack = zipped::Pack {
        batch: Some(parallax_proto::batch::encode(0, digests)),
        gaps,
    };
    zstd::bulk::compress(&prost::Message::encode_to_vec(&pack), 1).unwrap()
}

#[test]
fn segments_come_out_of_a_row_as_they_went_in_with_their_numbers() {
    let digests: Vec<Digest> = (0..500).map(|step| segment(step, 16)).collect();
    let mut seen = 0;
    for (members, row) in packed(&digests) {
        let stored = Vec::<Stored>::try_from(&row).unwrap();
        assert!(stored.len() <= SEGMENTS_MAX);
        seen += stored.len();
        for (index, stored) in members.iter().zip(&stored) {
            assert_eq!(stored.number, 1000 + i64::from(*index));
            assert_eq!(stored.digest, digests[*index as usize]);
        }
    }
    assert_eq!(seen, 250);
}

#[test]
fn no_row_is_longer_than_an_hour() {
    let digests: Vec<Digest> = (0..100)
        .map(|step| Digest {
            time: CaptureTime::from_nanos(i64::from(step) * HOUR / 3),
            ..segment(step, 16)
        })
        .collect();
    for (members, row) in packed(&digests) {
        let stored = Vec::<Stored>::try_from(&row).unwrap();
        assert_eq!(members.len(), stored.len());
        let times: Vec<CaptureTime> = stored.iter().map(|stored| stored.digest.time).collect();
        assert!(times[times.len() - 1].since(times[0]) < HOUR);
    }
}

#[test]
fn a_rotten_row_is_refused_by_name_and_never_a_panic() {
    let digests: Vec<Digest> = (0..40).map(|step| segment(step, 16)).collect();
    let refusal = |change: &dyn Fn(&mut PackedRow)| {
        let (_, mut row) = packed(&digests).remove(0);
        change(&mut row);
        Vec::<Stored>::try_from(&row).unwrap_err()
    };
    let cut = refusal(&|row| row.octets.truncate(30));
    assert_eq!((cut.table, cut.column), ("packed", "octets"));
    assert!(cut.to_string().contains("run 3 number 1000"), "{cut}");
    assert_eq!(refusal(&|row| row.octets.clear()).column, "octets");
    assert_eq!(refusal(&|row| row.segments += 1).column, "segments");
    assert_eq!(refusal(&|row| row.segments = -1).column, "segments");
    assert_eq!(refusal(&|row| row.first_number = i64::MAX).column, "octets");
    let other = zstd::bulk::compress(&[255; 64], 1).unwrap();
    assert_eq!(
        refusal(&|row| row.octets.clone_from(&other)).column,
        "octets"
    );
    // Whatever octet is damaged.
    let (_, row) = packed(&digests).remove(0);
    for octets in [&row.octets, &as_before(&digests, vec![0; 40])] {
        for index in 0..octets.len() {
            let mut damaged = PackedRow {
                octets: octets.clone(),
                ..row
            };
            damaged.octets[index] ^= 0x55;
            let _ = Vec::<Stored>::try_from(&damaged);
            damaged.octets.truncate(index);
            let _ = Vec::<Stored>::try_from(&damaged).unwrap_err();
        }
    }
}

#[test]
fn rows_of_before_are_read_as_later_ones_are() {
    let digests: Vec<Digest> = (0..40).map(|step| segment(step, 16)).collect();
    for (members, row) in packed(&digests) {
        let before = PackedRow {
            octets: as_before(
                &members
                    .iter()
                    .map(|index| digests[*index as usize])
                    .collect::<Vec<_>>(),
                gaps(&members),
            ),
            ..row
        };
        let [later, before] = [&row, &before].map(|row| {
            let stored = Vec::<Stored>::try_from(row).unwrap();
            stored
                .into_iter()
                .map(|stored| (stored.run_id, stored.number, stored.digest))
        });
        assert!(later.eq(before));
    }
}

/// Digests of both directions that differ in everything that a segment may have.
fn any_digests() -> impl proptest::strategy::Strategy<Value = Vec<Digest>> {
    use parallax_core::digest::{Direction, SackBlock, Timestamps};
    use proptest::prelude::*;
    let numbers = any::<(i64, u32, u32, u16, u32, u32)>();
    let values = any::<(
        Option<u64>,
        Option<(u32, u32)>,
        Option<(u32, u32)>,
        Option<u16>,
    )>();
    let kinds = any::<(bool, bool, bool, u8)>();
    let one = (numbers, 0_u16..512, values, kinds).prop_map(|(numbers, flags, values, kinds)| {
        let (time, seq, ack, window, payload_len, near) = numbers;
        let (payload_hash, stamps, sack, id) = values;
        let (back, plain, marked, ttl) = kinds;
        let mut digest = segment(near % 100, flags & !6);
        if back {
            digest.tuple = digest.tuple.reversed();
        }
        if plain {
            return digest;
        }
        digest.time = CaptureTime::from_nanos(time);
        (digest.seq, digest.ack) = (TcpSeq(seq), TcpSeq(ack));
        (digest.window, digest.payload_len) = (window, payload_len);
        digest.payload_hash = payload_hash.filter(|hash| *hash != 0);
        digest.options.timestamps = stamps.map(|(value, echo)| Timestamps { value, echo });
        digest.options.sack = sack.map(|(left, right)| SackBlock {
            left: TcpSeq(left),
            right: TcpSeq(right),
        });
        digest.options.cut = marked;
        digest.ip.id = id;
        digest.ip.ttl = ttl % 3;
        digest.ip.fragment = marked;
        if marked {
            digest.link.direction = Direction::Out;
            digest.link.vlans = [Some(7), None];
        }
        digest
    });
    proptest::collection::vec(one, 1..=SEGMENTS_MAX)
}

proptest::proptest! {
    #[test]
    fn any_segments_come_out_of_a_row_as_they_went_in(digests in any_digests(), far in proptest::num::u32::ANY) {
        let gaps: Vec<u64> = (0..digests.len() as u64).map(|index| index * u64::from(far)).collect();
        let octets = columns::write(&digests, &gaps);
        let read = columns::read(&octets).unwrap();
        proptest::prop_assert!(read.into_iter().eq(gaps.into_iter().zip(digests)));
    }

    #[test]
    fn any_octets_are_segments_or_refused(mut octets in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        let _ = columns::read(&octets);
        octets.splice(0..0, [columns::FORM]);
        let _ = columns::read(&octets);
    }
}

#[test]
fn an_ordinary_connection_takes_few_octets_beside_its_payloads_hashes() {
    let digests: Vec<Digest> = (0..90).map(|step| segment(step, 16)).collect();
    let octets = columns::write(&digests, &[0; 90]);
    // Mostly times.
    let beside = octets.len() - 90 * 8;
    assert!(beside < 90 * 4, "{beside}");
}

#[test]
fn what_is_asked_for_by_itself_or_does_not_fit_columns_is_a_row_of_its_own() {
    assert!(!is_row(&segment(0, 16)));
    assert!(!is_row(&segment(0, 17)), "a FIN is packed");
    assert!(is_row(&segment(0, 2)));
    assert!(is_row(&segment(0, 4)));
    let mut odd = segment(0, 16);
    odd.link.vlans = [None, Some(7)];
    assert!(is_row(&odd));
    odd = segment(0, 16);
    odd.payload_hash = Some(0);
    assert!(is_row(&odd));
}
