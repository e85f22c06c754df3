//! The packed form of any segment: parts one after another, those that are not there left out.

use std::net::IpAddr;

use parallax_core::digest::{IpFields, LinkFields, SackBlock, TcpFlags, TcpOptions, Timestamps};
use parallax_core::tunnel::{Tunnel, TunnelEnds, TunnelKind};
use parallax_core::{CaptureTime, Digest, Endpoint, FourTuple, ResetReason, TcpSeq};

use super::plain::{direction, marked_ip, marked_options, marks as plain_marks};

/// No packed segment is longer.
pub(crate) const LONGEST: usize = 160;

const V6: u16 = 1;
const PAYLOAD: u16 = 2;
const HASH: u16 = 4;
const OPTIONS: u16 = 8;
const STAMPS: u16 = 16;
const SACK: u16 = 32;
const IP_ID: u16 = 64;
const MSS: u16 = 128;
const SCALE: u16 = 256;
const MAC: u16 = 512;
const VLANS: u16 = 1024;
const TUNNEL: u16 = 2048;
const REASON: u16 = 4096;

/// Marks beside those of the [plain](super::plain) form.
const TUNNEL_ID: u8 = 64;
const TUNNEL_ENDS: u8 = 128;

/// Octets that are written one after another.
struct Writer {
    octets: [u8; LONGEST],
    len: usize,
}

impl Writer {
    fn put<const N: usize>(&mut self, part: [u8; N]) {
        self.octets[self.len..self.len + N].copy_from_slice(&part);
        self.len += N;
    }

    fn put_addr(&mut self, addr: IpAddr) {
        match addr {
            IpAddr::V4(v4) => self.put(v4.octets()),
            IpAddr::V6(v6) => self.put(v6.octets()),
        }
    }
}

/// A packed segment.
pub(crate) struct Wide {
    octets: [u8; LONGEST],
    len: usize,
}

impl Wide {
    pub fn of(digest: &Digest) -> Self {
        let mut writer = Writer {
            octets: [0; LONGEST],
            len: 0,
        };
        let present = present(digest);
        writer.put(present.to_le_bytes());
        write(&mut writer, digest, present);
        Self {
            octets: writer.octets,
            len: writer.len,
        }
    }

    pub fn octets(&self) -> &[u8] {
        &self.octets[..self.len]
    }
}

fn present(digest: &Digest) -> u16 {
    let bit = |bit: u16, there: bool| if there { bit } else { 0 };
    let options = &digest.options;
    bit(V6, digest.tuple.src.addr.is_ipv6())
        | bit(PAYLOAD, digest.payload_len > 0)
        | bit(HASH, digest.payload_hash.is_some())
        | bit(OPTIONS, options.order != 0)
        | bit(STAMPS, options.timestamps.is_some())
        | bit(SACK, options.sack.is_some())
        | bit(IP_ID, digest.ip.id.is_some())
        | bit(MSS, options.mss.is_some())
        | bit(SCALE, options.window_scale.is_some())
        | bit(MAC, digest.link.source.is_some())
        | bit(VLANS, digest.link.vlans[0].is_some())
        | bit(TUNNEL, digest.link.tunnel.is_some())
        | bit(REASON, reason(digest).is_some())
}

fn reason(digest: &Digest) -> Option<u64> {
    digest.rst_reason.and_then(ResetReason::number)
}

fn write(writer: &mut Writer, digest: &Digest, present: u16) {
    let Digest { tuple, options, .. } = digest;
    writer.put(digest.time.nanos().to_le_bytes());
    writer.put_addr(tuple.src.addr);
    writer.put_addr(tuple.dst.addr);
    writer.put(tuple.src.port.to_le_bytes());
    writer.put(tuple.dst.port.to_le_bytes());
    writer.put(digest.seq.0.to_le_bytes());
    writer.put(digest.ack.0.to_le_bytes());
    writer.put(digest.flags.0.to_le_bytes());
    writer.put(digest.window.to_le_bytes());
    writer.put([
        digest.ip.ttl,
        digest.ip.traffic_class,
        digest.link.interface,
        marks(digest),
    ]);
    if present & PAYLOAD != 0 {
        writer.put(digest.payload_len.to_le_bytes());
    }
    if let Some(hash) = digest.payload_hash {
        writer.put(hash.to_le_bytes());
    }
    if present & OPTIONS != 0 {
        writer.put(options.order.to_le_bytes());
    }
    if let Some(stamps) = options.timestamps {
        writer.put(stamps.value.to_le_bytes());
        writer.put(stamps.echo.to_le_bytes());
    }
    if let Some(sack) = options.sack {
        writer.put(sack.left.0.to_le_bytes());
        writer.put(sack.right.0.to_le_bytes());
    }
    if let Some(id) = digest.ip.id {
        writer.put(id.to_le_bytes());
    }
    if let Some(mss) = options.mss {
        writer.put(mss.to_le_bytes());
    }
    if let Some(scale) = options.window_scale {
        writer.put([scale]);
    }
    if let Some(number) = reason(digest) {
        writer.put(number.to_le_bytes());
    }
    write_link(writer, &digest.link);
}

fn write_link(writer: &mut Writer, link: &LinkFields) {
    if let Some(mac) = link.source {
        writer.put(mac);
    }
    if let Some(outer) = link.vlans[0] {
        writer.put(outer.to_le_bytes());
        // No VLAN has this id.
        writer.put(link.vlans[1].unwrap_or(u16::MAX).to_le_bytes());
    }
    let Some(tunnel) = link.tunnel else { return };
    writer.put([tunnel.kind as u8, tunnel.depth]);
    if let Some(id) = tunnel.id {
        writer.put(id.to_le_bytes());
    }
    if let Some(ends) = tunnel.ends {
        writer.put([u8::from(ends.src.is_ipv6())]);
        writer.put_addr(ends.src);
        writer.put_addr(ends.dst);
    }
}

fn marks(digest: &Digest) -> u8 {
    let bit = |bit: u8, there: bool| if there { bit } else { 0 };
    let tunnel = digest.link.tunnel;
    plain_marks(digest)
        | bit(TUNNEL_ID, tunnel.is_some_and(|tunnel| tunnel.id.is_some()))
        | bit(
            TUNNEL_ENDS,
            tunnel.is_some_and(|tunnel| tunnel.ends.is_some()),
        )
}

/// Octets that are read one after another. What is not there reads as zero: memories hold only what
/// [`Wide`] wrote.
struct Reader<'a> {
    octets: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let part = self.octets.get(self.at..self.at + N);
        self.at += N;
        part.and_then(|part| part.try_into().ok()).unwrap_or([0; N])
    }

    fn take_if<const N: usize>(&mut self, there: bool) -> Option<[u8; N]> {
        there.then(|| self.take())
    }

    fn addr(&mut self, v6: bool) -> IpAddr {
        if v6 {
            IpAddr::from(self.take::<16>())
        } else {
            IpAddr::from(self.take::<4>())
        }
    }
}

/// When the segment was captured.
pub(crate) fn time(octets: &[u8]) -> CaptureTime {
    CaptureTime::from_nanos(i64::from_le_bytes(Reader { octets, at: 2 }.take()))
}

/// The digest of packed octets; more may follow them.
pub(crate) fn digest(octets: &[u8]) -> Digest {
    let mut reader = Reader { octets, at: 0 };
    let present = u16::from_le_bytes(reader.take());
    let there = |bit: u16| present & bit != 0;
    let time = CaptureTime::from_nanos(i64::from_le_bytes(reader.take()));
    let tuple = tuple(&mut reader, present);
    let seq = TcpSeq(u32::from_le_bytes(reader.take()));
    let ack = TcpSeq(u32::from_le_bytes(reader.take()));
    let flags = TcpFlags(u16::from_le_bytes(reader.take()));
    let window = u16::from_le_bytes(reader.take());
    let [ttl, traffic_class, interface, marks] = reader.take();
    let payload_len = reader.take_if(there(PAYLOAD)).map_or(0, u32::from_le_bytes);
    let payload_hash = reader.take_if(there(HASH)).map(u64::from_le_bytes);
    let order = reader.take_if(there(OPTIONS)).map_or(0, u64::from_le_bytes);
    let timestamps =
        pair(&mut reader, there(STAMPS)).map(|[value, echo]| Timestamps { value, echo });
    let sack = pair(&mut reader, there(SACK)).map(|[left, right]| SackBlock {
        left: TcpSeq(left),
        right: TcpSeq(right),
    });
    let id = reader.take_if(there(IP_ID)).map(u16::from_le_bytes);
    let mss = reader.take_if(there(MSS)).map(u16::from_le_bytes);
    let window_scale = reader.take_if(there(SCALE)).map(|[scale]| scale);
    let rst_reason = reader
        .take_if(there(REASON))
        .and_then(|number| ResetReason::from_number(u64::from_le_bytes(number)));
    Digest {
        time,
        tuple,
        seq,
        ack,
        flags,
        window,
        payload_len,
        payload_hash,
        rst_reason,
        options: TcpOptions {
            mss,
            window_scale,
            timestamps,
            sack,
            order,
            ..marked_options(marks)
        },
        ip: IpFields {
            ttl,
            id,
            traffic_class,
            ..marked_ip(marks)
        },
        link: link(&mut reader, present, interface, marks),
    }
}

fn tuple(reader: &mut Reader<'_>, present: u16) -> FourTuple {
    let v6 = present & V6 != 0;
    let (src, dst) = (reader.addr(v6), reader.addr(v6));
    let sport = u16::from_le_bytes(reader.take());
    let dport = u16::from_le_bytes(reader.take());
    FourTuple::new(Endpoint::new(src, sport), Endpoint::new(dst, dport))
}

fn pair(reader: &mut Reader<'_>, there: bool) -> Option<[u32; 2]> {
    there.then(|| {
        [
            u32::from_le_bytes(reader.take()),
            u32::from_le_bytes(reader.take()),
        ]
    })
}

fn link(reader: &mut Reader<'_>, present: u16, interface: u8, marks: u8) -> LinkFields {
    let source = reader.take_if(present & MAC != 0);
    let vlans = if present & VLANS == 0 {
        [None, None]
    } else {
        let outer = u16::from_le_bytes(reader.take());
        let inner = u16::from_le_bytes(reader.take());
        [Some(outer), (inner != u16::MAX).then_some(inner)]
    };
    LinkFields {
        direction: direction(marks),
        source,
        vlans,
        interface,
        tunnel: if present & TUNNEL == 0 {
            None
        } else {
            tunnel(reader, marks)
        },
    }
}

fn tunnel(reader: &mut Reader<'_>, marks: u8) -> Option<Tunnel> {
    let [kind, depth] = reader.take();
    let id = reader
        .take_if(marks & TUNNEL_ID != 0)
        .map(u32::from_le_bytes);
    let ends = (marks & TUNNEL_ENDS != 0).then(|| {
        let [v6] = reader.take();
        TunnelEnds {
            src: reader.addr(v6 != 0),
            dst: reader.addr(v6 != 0),
        }
    });
    let kind = TunnelKind::ALL
        .into_iter()
        .find(|known| *known as u8 == kind)?;
    Some(Tunnel {
        kind,
        depth,
        ends,
        id,
    })
}
