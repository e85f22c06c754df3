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
    let mut packer = Packer::new(1).unwrap();
    let mut rows = Vec::new();
    for group in &groups.all {
        packer.pack(group, &fresh, &BTreeSet::new()).unwrap();
        let row = PackedRow {
            asked: 1,
            run_id: 3,
            first_number: 1000 + i64::from(group.members[0]),
            segments: group.members.len() as i16,
            octets: packer.octets.clone(),
        };
        rows.push((group.members.clone(), row));
    }
    rows
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
    let other = zstd::bulk::compress(&[255; 64], LEVEL).unwrap();
    assert_eq!(
        refusal(&|row| row.octets.clone_from(&other)).column,
        "octets"
    );
    // Whatever octet is damaged.
    let (_, row) = packed(&digests).remove(0);
    for index in 0..row.octets.len() {
        let mut damaged = PackedRow {
            octets: row.octets.clone(),
            ..row
        };
        damaged.octets[index] ^= 0x55;
        let _ = Vec::<Stored>::try_from(&damaged);
    }
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
