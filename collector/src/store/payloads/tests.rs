use std::net::IpAddr;

use parallax_core::digest::{IpFields, LinkFields, TcpFlags, TcpOptions};
use parallax_core::{CaptureTime, Endpoint, FourTuple, TcpSeq};

use super::*;

fn segment(hash: u64, from_server: bool, payload_len: u32) -> Digest {
    let end = |last: u8, port| Endpoint::new(IpAddr::from([192, 0, 2, last]), port);
    let tuple = FourTuple::new(end(1, 40_000), end(2, 443));
    Digest {
        time: CaptureTime::from_nanos(0),
        tuple: if from_server { tuple.reversed() } else { tuple },
        seq: TcpSeq(0),
        ack: TcpSeq(0),
        flags: TcpFlags::ACK,
        window: 500,
        payload_len,
        payload_hash: (payload_len > 0).then_some(hash),
        options: TcpOptions::default(),
        rst_reason: None,
        ip: IpFields::default(),
        link: LinkFields::default(),
    }
}

/// The hashes that are noted, in the order of the rows.
fn noted(digests: &[Digest]) -> Vec<u64> {
    let mut rows = CopyBuffer::new(0);
    push(&mut rows, 7, &BTreeSet::new(), digests);
    let octets = rows.finish();
    // Behind the header and before the trailer; a row is its count of columns and 4 + 8, 4 + 8, 4 + 8, 4 + 4 octets.
    let row = 2 + 3 * 12 + 8;
    octets[19..octets.len() - 2]
        .chunks_exact(row)
        .map(|row| u64::from_be_bytes(row[6..14].try_into().unwrap()))
        .collect()
}

#[test]
fn of_a_long_row_the_beginnings_of_messages_go_first_and_few_are_noted() {
    let mut digests = Vec::new();
    for message in 0..3 {
        digests.push(segment(message * 100 + 1, false, 200));
        digests.push(segment(0, false, 0));
        digests.extend((2..20).map(|step| segment(message * 100 + step, true, 1448)));
    }
    assert_eq!(noted(&digests), [1, 2, 101, 102]);
}

#[test]
fn of_a_short_row_every_telling_payload_is_noted_once() {
    let digests: Vec<Digest> = [(1, 20), (2, 15), (3, 16), (1, 20), (4, 0)]
        .map(|(hash, len)| segment(hash, false, len))
        .to_vec();
    assert_eq!(noted(&digests), [1, 3]);
}
