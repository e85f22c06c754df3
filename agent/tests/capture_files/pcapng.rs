use parallax_agent::capture::file::FileWarning;
use parallax_core::decode::Unread;

use super::blocks::Blocks;
use super::build::{frame, gzip, packet};
use super::{Capture, seqs};

const NANO: fn() -> Vec<(u16, Vec<u8>)> = || vec![(9, vec![9])];

#[test]
fn interfaces_differ_in_link_type_and_in_clock() {
    for big in [false, true] {
        let mut file = Blocks::section(big);
        file.interface(1, &[(2, b"eth0".to_vec())]);
        file.interface(101, &NANO());
        file.interface(1, &[(9, vec![3]), (14, file.u64(1000).to_vec())]);
        // Name resolution, custom and unknown blocks are passed over.
        file.block(4, &[0; 4]);
        file.block(0x0bad, &[1, 2, 3]);
        file.enhanced(0, 5_000_001, &frame(1), &[]);
        file.enhanced(1, 5_000_000_002, &packet(2), &[]);
        file.enhanced(2, 5_003, &frame(3), &[]);
        let (digests, summary) = Capture::of(&file.octets).read().unwrap();
        assert_eq!(seqs(&digests), [1, 2, 3]);
        let times: Vec<i64> = digests.iter().map(|digest| digest.time.nanos()).collect();
        assert_eq!(times, [5_000_001_000, 5_000_000_002, 1_005_003_000_000]);
        let interfaces: Vec<u8> = digests.iter().map(|d| d.link.interface).collect();
        assert_eq!(interfaces, [0, 1, 2]);
        assert!(summary.warnings.is_empty());
    }
}

#[test]
fn statistics_tell_the_end_of_the_capture_and_its_losses() {
    let mut file = Blocks::section(false);
    file.interface(1, &[]);
    file.interface(1, &[]);
    file.enhanced(0, 1_000_000, &frame(1), &[(4, file.u64(2).to_vec())]);
    file.enhanced(1, 2_000_000, &frame(2), &[(4, file.u64(1).to_vec())]);
    let statistics = |file: &Blocks, dropped: u64| {
        vec![
            (2, file.halves(1)),
            (3, file.halves(9_000_000)),
            (5, file.u64(dropped).to_vec()),
            (7, file.u64(1).to_vec()),
        ]
    };
    for dropped in [3, 4] {
        file.statistics(0, 9_000_000, &statistics(&file, dropped));
    }
    let (_, summary) = Capture::of(&file.octets).read().unwrap();
    let coverage = summary.coverage.unwrap();
    assert_eq!(coverage.from.nanos(), 1_000_000_000, "not before a packet");
    assert_eq!(coverage.until.nanos(), 9_000_000_000);
    // Five by the last statistics of one interface, one by a packet of the other.
    assert_eq!(coverage.dropped, 6);
}

#[test]
fn an_interface_of_unknown_link_type_is_counted_and_the_others_are_read() {
    let mut file = Blocks::section(false);
    file.interface(105, &[]);
    file.interface(1, &[]);
    file.enhanced(0, 1, &[0; 20], &[]);
    file.enhanced(1, 2, &frame(2), &[]);
    let (digests, summary) = Capture::of(&file.octets).read().unwrap();
    assert_eq!(seqs(&digests), [2]);
    assert_eq!(summary.unread.get(Unread::UnsupportedLink), 1);
    assert_eq!(summary.packets, 2);
    let [FileWarning::UnsupportedInterface { interface: 0, .. }] = summary.warnings[..] else {
        panic!("{:?}", summary.warnings);
    };
}

#[test]
fn with_unknown_link_types_only_the_file_is_refused() {
    let mut file = Blocks::section(true);
    file.interface(105, &[]);
    file.interface(1, &[]);
    file.enhanced(0, 1, &[0; 20], &[]);
    let error = Capture::of(&file.octets).error();
    assert!(error.starts_with("FILE: link type 105"), "{error}");
}

#[test]
fn a_packet_without_time_is_counted_since_it_has_no_place_in_any_order() {
    let mut file = Blocks::section(false);
    file.interface(1, &[]);
    let mut simple = file.u32(54).to_vec();
    simple.extend(frame(1));
    file.block(3, &simple);
    file.enhanced(0, 2, &frame(2), &[]);
    let (digests, summary) = Capture::of(&file.octets).read().unwrap();
    assert_eq!(seqs(&digests), [2]);
    assert_eq!(summary.unread.get(Unread::NoTime), 1);
}

#[test]
fn the_obsolete_packet_block_is_read() {
    let mut file = Blocks::section(true);
    file.interface(1, &NANO());
    let mut body = file.u16(0).to_vec();
    body.extend(file.u16(7));
    body.extend(file.halves(77));
    body.extend(file.u32(54));
    body.extend(file.u32(54));
    body.extend(frame(9));
    file.block(2, &body);
    let (digests, summary) = Capture::of(&file.octets).read().unwrap();
    assert_eq!(digests[0].time.nanos(), 77);
    assert_eq!(summary.coverage.unwrap().dropped, 7);
}

#[test]
fn a_new_section_begins_with_new_interfaces_and_maybe_another_byte_order() {
    let mut file = Blocks::section(false);
    file.interface(1, &[]);
    file.enhanced(0, 1, &frame(1), &[]);
    file.big = true;
    file.section_header();
    file.interface(101, &NANO());
    file.enhanced(0, 2, &packet(2), &[]);
    let (digests, _) = Capture::of(&file.octets).read().unwrap();
    assert_eq!(seqs(&digests), [1, 2]);
}

#[test]
fn a_pcapng_cut_anywhere_gives_what_is_there() {
    let mut file = Blocks::section(false);
    file.interface(1, &[]);
    let mut ends = vec![];
    for seq in 0..3 {
        file.enhanced(0, 1 + u64::from(seq), &frame(seq), &[]);
        ends.push(file.octets.len());
    }
    for kept in 4..file.octets.len() {
        let capture = Capture::of(&file.octets[..kept]);
        if kept < 28 {
            assert!(capture.error().contains("ends within its file header"));
            continue;
        }
        let (digests, summary) = capture.read().unwrap();
        let whole = ends.iter().filter(|end| **end <= kept).count();
        assert_eq!(digests.len(), whole, "{kept}");
        let on_a_boundary = kept == 28 || kept == 52 || ends.contains(&kept);
        assert_eq!(summary.warnings.is_empty(), on_a_boundary, "{kept}");
    }
}

#[test]
fn contradictory_blocks_are_damage() {
    let mut good = Blocks::section(false);
    good.interface(1, &[]);
    let packet_at = good.octets.len();
    good.enhanced(0, 1, &frame(1), &[]);
    for (at, octet, what) in [
        (packet_at + 8, 9, "not described"),
        (packet_at + 20, 200, "contradict"),
        (good.octets.len() - 4, 3, "contradict"),
        (packet_at + 4, 5, "contradict"),
    ] {
        let mut octets = good.octets.clone();
        octets[at] = octet;
        let error = Capture::of(&octets).error();
        assert!(error.contains(what), "{at}: {error}");
        assert!(error.contains(&format!("octet {packet_at}")), "{error}");
    }
}

#[test]
fn a_gzipped_pcapng_is_looked_through() {
    let mut file = Blocks::section(true);
    file.interface(276, &[]);
    let mut cooked = vec![8, 0, 0, 0, 0, 0, 0, 3, 0, 1, 4, 6, 2, 0, 0, 0, 0, 1, 0, 0];
    cooked.extend(packet(5));
    file.enhanced(0, 1, &cooked, &[]);
    let (digests, _) = Capture::of(&gzip(&file.octets)).read().unwrap();
    assert_eq!(
        digests[0].link.direction,
        parallax_core::digest::Direction::Out
    );
}
