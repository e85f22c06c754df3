//! Files that are read on from some place in them, as several threads read them.

use parallax_agent::capture::file::{FileReader, FileSummary, Place, Receive};
use parallax_core::Digest;
use parallax_core::archive::Glimpse;

use super::Capture;
use super::blocks::Blocks;
use super::build::{Magic, frame, gzip, packet, pcap, records};

#[derive(Default)]
struct Kept(Vec<Digest>);

impl Receive for Kept {
    fn receive(&mut self, segment: &impl Glimpse) {
        let digest = segment.digest();
        assert_eq!(segment.head(), digest.head());
        assert_eq!(segment.payload_hash(), digest.payload_hash);
        self.0.push(digest);
    }
}

/// What follows, and the places on the way.
fn read(mut reader: FileReader, until: u64) -> (Vec<Digest>, FileSummary, Vec<Place>) {
    let mut kept = Kept::default();
    let mut places = Vec::new();
    // One record at a time.
    while reader.offset() < until && reader.read_on(reader.offset() + 1, &mut kept).unwrap() {
        places.extend(reader.place());
    }
    (kept.0, reader.summary(), places)
}

/// Reads the file up to each place and on from there: as if it had not been interrupted.
fn is_the_same_from_all_places(octets: &[u8]) -> usize {
    let capture = Capture::of(octets);
    let (digests, summary) = capture.read().unwrap();
    let path = capture.path();
    let (whole, told, places) = read(FileReader::open(&path).unwrap(), u64::MAX);
    assert_eq!(whole, digests);
    assert_eq!(format!("{told:?}"), format!("{summary:?}"));
    for place in &places {
        let (mut all, ..) = read(FileReader::open(&path).unwrap(), place.offset());
        let (rest, told, _) = read(FileReader::open_at(&path, place).unwrap(), u64::MAX);
        all.extend(rest);
        assert_eq!(all, digests, "{}", place.offset());
        assert_eq!(format!("{told:?}"), format!("{summary:?}"));
    }
    places.len()
}

#[test]
fn a_pcap_is_the_same_from_all_places() {
    let mut packets = records(9);
    packets[3].data[12] = 9;
    for magic in Magic::ALL {
        let whole = pcap(magic, 1, &packets);
        assert_eq!(is_the_same_from_all_places(&whole), 9);
        let cut = &whole[..whole.len() - 7];
        assert_eq!(is_the_same_from_all_places(cut), 8);
    }
}

#[test]
fn a_pcapng_is_the_same_from_all_places() {
    let mut file = Blocks::section(false);
    file.interface(1, &[]);
    file.interface(105, &[]);
    file.enhanced(0, 1_000_000, &frame(1), &[(4, file.u64(2).to_vec())]);
    file.enhanced(1, 1_000_000, &frame(2), &[]);
    file.big = true;
    file.section_header();
    file.interface(101, &[(9, vec![9])]);
    file.enhanced(0, 2_000_000_000, &packet(3), &[]);
    let statistics = [(3, file.halves(9_000_000_000)), (5, file.u64(4).to_vec())];
    file.statistics(0, 9_000_000_000, &statistics);
    // What is passed over goes with the packet behind it.
    assert_eq!(is_the_same_from_all_places(&file.octets), 2);
}

#[test]
fn places_are_not_kept_where_nobody_could_return_or_where_they_would_be_large() {
    let packed = gzip(&pcap(Magic::LittleMicro, 1, &records(3)));
    assert_eq!(is_the_same_from_all_places(&packed), 0);
    let mut file = Blocks::section(false);
    for number in 0..100 {
        file.interface(1, &[]);
        file.enhanced(number, 1_000_000, &frame(1), &[]);
    }
    assert_eq!(is_the_same_from_all_places(&file.octets), 64);
}
