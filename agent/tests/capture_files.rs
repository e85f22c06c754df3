//! Capture files of every kind, whole and broken, through the reader and through the command.

#[path = "capture_files/blocks.rs"]
mod blocks;
#[path = "capture_files/build.rs"]
mod build;
#[path = "capture_files/command.rs"]
mod command;
#[path = "capture_files/pcapng.rs"]
mod pcapng;
#[path = "capture_files/places.rs"]
mod places;

use std::path::PathBuf;

use build::{Magic, frame, gzip, pcap, records};
use parallax_agent::capture::file::{
    FileError, FileReader, FileSummary, FileWarning, read_digests,
};
use parallax_core::Digest;
use parallax_core::decode::Unread;
use tempfile::TempDir;

/// A capture of these octets in a folder that lives as long as the value.
struct Capture {
    folder: TempDir,
}

impl Capture {
    fn of(octets: &[u8]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.cap"), octets).unwrap();
        Self { folder }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("a.cap")
    }

    fn read(&self) -> Result<(Vec<Digest>, FileSummary), FileError> {
        let mut digests = Vec::new();
        let summary = read_digests(&self.path(), &mut |digest| digests.push(digest))?;
        Ok((digests, summary))
    }

    /// The error, with the path taken out.
    fn error(&self) -> String {
        let message = self.read().unwrap_err().to_string();
        let path = self.path().display().to_string();
        assert!(message.contains(&path), "names the file: {message}");
        assert!(!message.contains('\n'), "one line: {message}");
        message.replace(&path, "FILE")
    }
}

fn seqs(digests: &[Digest]) -> Vec<u32> {
    digests.iter().map(|digest| digest.seq.0).collect()
}

#[test]
fn both_byte_orders_and_both_precisions_give_the_same_packets() {
    for magic in Magic::ALL {
        let (digests, summary) = Capture::of(&pcap(magic, 1, &records(3))).read().unwrap();
        assert_eq!(seqs(&digests), [0, 1, 2], "{magic:?}");
        let fraction = if magic.is_nano() { 123 } else { 123_000 };
        let first = 1_767_323_045_000_000_000 + fraction;
        assert_eq!(digests[0].time.nanos(), first, "{magic:?}");
        let coverage = summary.coverage.unwrap();
        assert_eq!(coverage.from.nanos(), first);
        assert_eq!(coverage.until.nanos(), first + 2_000_000_000);
        assert_eq!((coverage.received, coverage.dropped), (3, 0));
        assert!(summary.warnings.is_empty());
    }
}

#[test]
fn libpcap_reads_the_same_from_the_same_file() {
    for magic in Magic::ALL {
        let capture = Capture::of(&pcap(magic, 1, &records(40)));
        let precision = pcap::Precision::Nano;
        let mut theirs =
            pcap::Capture::from_file_with_precision(capture.path(), precision).unwrap();
        let mut ours = FileReader::open(&capture.path()).unwrap();
        while let Ok(packet) = theirs.next_packet() {
            let mine = ours.next_packet().unwrap().unwrap();
            let stamp = packet.header.ts;
            assert_eq!(
                mine.time.nanos(),
                stamp.tv_sec * 1_000_000_000 + stamp.tv_usec
            );
            assert_eq!(mine.data, packet.data);
            assert_eq!(mine.original_len, packet.header.len);
        }
        assert!(ours.next_packet().unwrap().is_none());
    }
}

#[test]
fn packets_without_digest_count_by_reason_and_for_the_coverage() {
    let mut all = records(2);
    let mut arp = all[1].clone();
    arp.seconds += 60;
    arp.data[12..14].copy_from_slice(&[8, 6]);
    let mut cut = all[1].clone();
    cut.data.truncate(40);
    all.extend([cut, arp.clone()]);
    let (digests, summary) = Capture::of(&pcap(Magic::LittleMicro, 1, &all))
        .read()
        .unwrap();
    assert_eq!(digests.len(), 2);
    assert_eq!((summary.packets, summary.digests), (4, 2));
    let unread: Vec<_> = summary.unread.iter().collect();
    assert_eq!(unread, [(Unread::NotIp, 1), (Unread::CutInTcp, 1)]);
    let until = summary.coverage.unwrap().until.nanos();
    assert_eq!(until / 1_000_000_000, i64::from(arp.seconds));
}

#[test]
fn a_gzipped_capture_is_looked_through() {
    let plain = pcap(Magic::LittleNano, 1, &records(1000));
    let (digests, summary) = Capture::of(&gzip(&plain)).read().unwrap();
    assert_eq!(digests.len(), 1000);
    assert!(summary.warnings.is_empty());
}

#[test]
fn members_of_a_gzip_follow_each_other() {
    let plain = pcap(Magic::LittleNano, 1, &records(10));
    let (head, tail) = plain.split_at(100);
    let (digests, _) = Capture::of(&[gzip(head), gzip(tail)].concat())
        .read()
        .unwrap();
    assert_eq!(digests.len(), 10);
}

#[test]
fn a_cut_gzip_gives_what_is_there_and_a_warning() {
    let whole = gzip(&pcap(Magic::LittleNano, 1, &records(5000)));
    let cut = Capture::of(&whole[..whole.len() / 2]);
    let (digests, summary) = cut.read().unwrap();
    assert!(digests.len() > 100 && digests.len() < 5000);
    assert_eq!(summary.warnings.len(), 1);
    // Only the checksum is missing: every packet is there, but nobody can swear to it.
    let (digests, summary) = Capture::of(&whole[..whole.len() - 4]).read().unwrap();
    assert_eq!((digests.len(), summary.warnings.len()), (5000, 1));
}

#[test]
fn a_last_record_that_was_cut_is_a_warning_wherever_it_was_cut() {
    let whole = pcap(Magic::BigMicro, 1, &records(3));
    let record = 16 + frame(0).len();
    let before = 24 + 2 * record;
    for kept in before + 1..whole.len() {
        let (digests, summary) = Capture::of(&whole[..kept]).read().unwrap();
        assert_eq!(seqs(&digests), [0, 1], "{kept}");
        let [FileWarning::Cut { offset, .. }] = &summary.warnings[..] else {
            panic!("{kept}: {:?}", summary.warnings);
        };
        assert_eq!(*offset, before as u64);
    }
    let (digests, summary) = Capture::of(&whole[..before]).read().unwrap();
    assert_eq!((digests.len(), summary.warnings.len()), (2, 0));
}

#[test]
fn a_capture_without_packets_has_no_coverage() {
    let (digests, summary) = Capture::of(&pcap(Magic::LittleMicro, 1, &[]))
        .read()
        .unwrap();
    assert!(digests.is_empty());
    assert_eq!(summary.coverage, None);
}

#[test]
fn packets_longer_than_a_block_are_read() {
    let mut long = records(2);
    long[0].data.resize(1_000_000, 7);
    let (digests, _) = Capture::of(&pcap(Magic::LittleMicro, 1, &long))
        .read()
        .unwrap();
    assert_eq!(seqs(&digests), [0, 1]);
}

#[test]
fn an_empty_file_says_so() {
    assert_eq!(
        Capture::of(&[]).error(),
        "FILE: is empty, not even a file header: give a capture that was written to its end"
    );
    assert!(Capture::of(&gzip(&[])).error().contains("is empty"));
}

#[test]
fn a_file_that_is_no_capture_says_how_it_begins() {
    assert_eq!(
        Capture::of(b"\x89PNG\r\n\x1a\n").error(),
        "FILE: is no capture (begins with 89 50 4e 47): give a pcap or pcapng file, plain or gzipped"
    );
    assert!(Capture::of(b"x").error().contains("begins with 78"));
    assert!(
        Capture::of(&gzip(b"some text"))
            .error()
            .contains("is no capture")
    );
}

#[test]
fn a_file_cut_within_its_header_says_so() {
    let whole = pcap(Magic::LittleMicro, 1, &[]);
    for kept in 4..24 {
        let error = Capture::of(&whole[..kept]).error();
        assert!(error.contains("ends within its file header"), "{error}");
    }
}

#[test]
fn an_unknown_link_type_is_named_with_those_that_are_known() {
    let error = Capture::of(&pcap(Magic::LittleMicro, 105, &records(1))).error();
    assert!(
        error.starts_with("FILE: link type 105 is not supported (supported: Ethernet 1,"),
        "{error}"
    );
}

#[test]
fn the_length_of_a_frame_check_sequence_is_no_link_type() {
    let with_fcs = pcap(Magic::LittleMicro, 0x2400_0001, &records(1));
    assert_eq!(Capture::of(&with_fcs).read().unwrap().0.len(), 1);
}

#[test]
fn a_record_of_absurd_length_is_damage() {
    let mut octets = pcap(Magic::LittleMicro, 1, &records(2));
    let second = 24 + 16 + frame(0).len();
    octets[second + 8..second + 12].fill(0xff);
    let error = Capture::of(&octets).error();
    assert!(
        error.starts_with(&format!("FILE: is damaged at octet {second}:")),
        "{error}"
    );
}

#[test]
fn a_missing_file_and_a_folder_say_what_they_are() {
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path().join("none.pcap"), folder.path().to_owned()] {
        let error = FileReader::open(&path).err().unwrap().to_string();
        assert!(error.contains(&*path.to_string_lossy()), "{error}");
        assert!(error.contains("cannot be opened"), "{error}");
    }
}
