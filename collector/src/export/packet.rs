//! A digest as the headers of its packet: IP (RFC 791, RFC 8200) and TCP (RFC 9293). The payload is not there, its
//! length is.

use std::net::IpAddr;

use parallax_core::Digest;

const TCP: u8 = 6;
/// Octets of a TCP header's options at most.
const OPTIONS_MAX: usize = 40;

/// A packet without its payload.
pub struct Packet {
    pub headers: Vec<u8>,
    /// With the payload, on the wire.
    pub length: u32,
}

pub fn rebuild(digest: &Digest) -> Packet {
    let mut tcp = tcp_header(digest);
    let segment = (tcp.len() as u32).saturating_add(digest.payload_len);
    if digest.payload_len == 0 {
        let sum = checksum(&[&pseudo_header(digest, segment), &tcp]);
        tcp[16..18].copy_from_slice(&sum.to_be_bytes());
    }
    let mut headers = match (digest.tuple.src.addr, digest.tuple.dst.addr) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => v4(digest, src.octets(), dst.octets(), segment),
        (src, dst) => v6(digest, octets(src), octets(dst), segment),
    };
    let length = (headers.len() as u32).saturating_add(segment);
    headers.extend(tcp);
    Packet { headers, length }
}

fn octets(addr: IpAddr) -> [u8; 16] {
    match addr {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

fn v4(digest: &Digest, src: [u8; 4], dst: [u8; 4], segment: u32) -> Vec<u8> {
    // Longer than the field holds only before the sender's own offload has cut it: 0, as Linux shows it.
    let total = u16::try_from(segment.saturating_add(20)).unwrap_or(0);
    let mut header = vec![0x45, digest.ip.traffic_class];
    header.extend(total.to_be_bytes());
    header.extend(digest.ip.id.unwrap_or(0).to_be_bytes());
    header.extend([if digest.ip.dont_fragment { 0x40 } else { 0 }, 0]);
    header.extend([digest.ip.ttl, TCP, 0, 0]);
    header.extend(src);
    header.extend(dst);
    let sum = checksum(&[&header]);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    header
}

fn v6(digest: &Digest, src: [u8; 16], dst: [u8; 16], segment: u32) -> Vec<u8> {
    let length = u16::try_from(segment).unwrap_or(0);
    let first = 6_u32 << 28 | u32::from(digest.ip.traffic_class) << 20;
    let mut header = first.to_be_bytes().to_vec();
    header.extend(length.to_be_bytes());
    header.extend([TCP, digest.ip.ttl]);
    header.extend(src);
    header.extend(dst);
    header
}

fn pseudo_header(digest: &Digest, segment: u32) -> Vec<u8> {
    let mut header = Vec::with_capacity(40);
    match (digest.tuple.src.addr, digest.tuple.dst.addr) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            header.extend(src.octets());
            header.extend(dst.octets());
        }
        (src, dst) => {
            header.extend(octets(src));
            header.extend(octets(dst));
        }
    }
    header.extend(segment.to_be_bytes());
    header.extend([0, 0, 0, TCP]);
    header
}

fn tcp_header(digest: &Digest) -> Vec<u8> {
    let options = options(digest);
    let words = 5 + options.len() / 4;
    let mut header = Vec::with_capacity(20 + options.len());
    header.extend(digest.tuple.src.port.to_be_bytes());
    header.extend(digest.tuple.dst.port.to_be_bytes());
    header.extend(digest.seq.0.to_be_bytes());
    header.extend(digest.ack.0.to_be_bytes());
    header.extend(((words as u16) << 12 | digest.flags.0 & 0x1ff).to_be_bytes());
    header.extend(digest.window.to_be_bytes());
    header.extend([0; 4]);
    header.extend(options);
    header
}

/// The options that a digest keeps, in their order; those of which only the kind is known are left out.
fn options(digest: &Digest) -> Vec<u8> {
    let kept = &digest.options;
    let mut order: Vec<u64> = (0..16)
        .map(|place| kept.order >> (place * 4) & 15)
        .take_while(|kind| *kind != 0)
        .collect();
    if order.is_empty() {
        order = vec![2, 4, 8, 3, 5];
    }
    let mut options = Vec::new();
    for kind in order {
        let before = options.len();
        match kind {
            1 => options.push(1),
            2 => options.extend(
                kept.mss
                    .iter()
                    .flat_map(|mss| [&[2, 4][..], &mss.to_be_bytes()].concat()),
            ),
            3 => options.extend(kept.window_scale.iter().flat_map(|scale| [3, 3, *scale])),
            4 if kept.sack_permitted => options.extend([4, 2]),
            5 => options.extend(kept.sack.iter().flat_map(|block| {
                [
                    &[5, 10][..],
                    &block.left.0.to_be_bytes(),
                    &block.right.0.to_be_bytes(),
                ]
                .concat()
            })),
            8 => options.extend(kept.timestamps.iter().flat_map(|stamps| {
                [
                    &[8, 10][..],
                    &stamps.value.to_be_bytes(),
                    &stamps.echo.to_be_bytes(),
                ]
                .concat()
            })),
            _ => {}
        }
        if options.len() > OPTIONS_MAX {
            options.truncate(before);
            break;
        }
    }
    // End of the list, and padding.
    options.resize(options.len().next_multiple_of(4), 0);
    options
}

/// RFC 1071.
fn checksum(parts: &[&[u8]]) -> u16 {
    let mut sum = 0_u32;
    for part in parts {
        for pair in part.chunks(2) {
            let low = pair.get(1).copied().unwrap_or(0);
            sum += u32::from(u16::from_be_bytes([pair[0], low]));
        }
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use parallax_core::decode::{LinkType, RawPacket, decode};
    use parallax_core::digest::{TcpFlags, Timestamps};
    use parallax_core::{Endpoint, FourTuple, TcpSeq};

    use super::*;

    fn digest(src: &str, dst: &str) -> Digest {
        let end = |text: &str, port| Endpoint::new(text.parse().unwrap(), port);
        let mut digest = Digest::BLANK;
        digest.tuple = FourTuple::new(end(src, 443), end(dst, 40_000));
        digest.seq = TcpSeq(u32::MAX);
        digest.ack = TcpSeq(7);
        digest.flags = TcpFlags::ACK.with(TcpFlags::PSH);
        digest.window = 502;
        digest.payload_len = 1_000;
        digest.options.timestamps = Some(Timestamps { value: 9, echo: 8 });
        digest.options.order = 0x811;
        digest.ip.ttl = 57;
        digest
    }

    #[test]
    fn a_rebuilt_packet_decodes_to_its_digest() {
        for (src, dst) in [
            ("192.0.2.1", "198.51.100.2"),
            ("2001:db8::1", "2001:db8::2"),
        ] {
            for (payload, flags) in [(1_000, TcpFlags::ACK), (0, TcpFlags::RST)] {
                let mut told = digest(src, dst);
                told.payload_len = payload;
                told.flags = flags;
                let packet = rebuild(&told);
                let raw = RawPacket {
                    data: &packet.headers,
                    original_len: packet.length,
                    link: LinkType::Raw,
                    time: told.time,
                    interface: 0,
                };
                let read = decode(&raw).unwrap();
                told.ip.id = read.ip.id;
                assert_eq!(read, told);
            }
        }
    }
}
