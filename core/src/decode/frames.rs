//! Frames put together octet by octet, for tests.

use super::{LinkType, RawPacket, Unread, decode};
use crate::digest::Digest;
use crate::time::CaptureTime;

pub const PAYLOAD: &[u8] = b"GET / HTTP/1.1\r\nHost: example.test\r\n\r\n";
pub const SYN_OPTIONS: &[u8] = &[
    2, 4, 0x05, 0xb4, 4, 2, 8, 10, 0, 0, 0, 7, 0, 0, 0, 9, 1, 3, 3, 7,
];

pub fn tcp(flags: u8, options: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut segment = vec![0x9c, 0x40, 0, 80, 1, 2, 3, 4, 5, 6, 7, 8];
    segment.push((5 + (options.len() / 4) as u8) << 4);
    segment.extend([flags, 0xfa, 0xf0, 0, 0, 0, 0]);
    segment.extend(options);
    segment.extend(payload);
    segment
}

/// `fragment` is the whole 16-bit field: DF 0x4000, MF 0x2000, offset below.
pub fn v4(protocol: u8, fragment: u16, ip_options: &[u8], body: &[u8]) -> Vec<u8> {
    let header_len = 20 + ip_options.len();
    let total = (header_len + body.len()) as u16;
    let mut packet = vec![0x40 | (header_len / 4) as u8, 0x12];
    packet.extend(total.to_be_bytes());
    packet.extend([0xab, 0xcd]);
    packet.extend(fragment.to_be_bytes());
    packet.extend([63, protocol, 0, 0, 192, 0, 2, 1, 198, 51, 100, 2]);
    packet.extend(ip_options);
    packet.extend(body);
    packet
}

pub fn v6(next: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x61, 0x20, 0, 0];
    packet.extend((body.len() as u16).to_be_bytes());
    packet.extend([next, 61]);
    for last in [1, 2] {
        packet.extend([
            0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last,
        ]);
    }
    packet.extend(body);
    packet
}

pub fn ethernet(types: &[u16], body: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
    let (last, tags) = types.split_last().expect("an ether type");
    for (index, tag) in tags.iter().enumerate() {
        frame.extend(tag.to_be_bytes());
        // Priority 5 and the VLAN ids 100, 101, …
        frame.extend((0xa000 | (100 + index as u16)).to_be_bytes());
    }
    frame.extend(last.to_be_bytes());
    frame.extend(body);
    frame
}

pub fn read(link: LinkType, data: &[u8]) -> Result<Digest, Unread> {
    read_cut(link, data, data.len())
}

/// Reads a packet of which `data` was captured.
pub fn read_cut(link: LinkType, data: &[u8], original_len: usize) -> Result<Digest, Unread> {
    decode(&RawPacket {
        time: CaptureTime::from_nanos(42),
        link,
        original_len: original_len as u32,
        interface: 3,
        data,
    })
}
