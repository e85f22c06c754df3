//! TCP segments as frames on an Ethernet wire: read, and forged with a free hand.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context, Result, bail};
use etherparse::{
    Ethernet2Header, IpHeaders, IpNumber, Ipv4Header, Ipv6FlowLabel, Ipv6Header, LaxPacketHeaders,
    LinkHeader, NetHeaders, PacketBuilder, TcpHeader, TransportHeader,
};

/// One TCP segment in its frame; every field can be chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct Segment {
    pub source_mac: [u8; 6],
    pub destination_mac: [u8; 6],
    pub source: IpAddr,
    pub destination: IpAddr,
    pub ttl: u8,
    /// IPv4 only.
    pub ip_id: u16,
    pub tcp: TcpHeader,
    /// Octets of payload; a forged segment carries none.
    pub payload_length: u32,
}

impl Segment {
    /// Reads a frame, of which the capture may have cut the payload off; `None` when it is no TCP
    /// segment over IP.
    pub fn read(frame: &[u8]) -> Option<Self> {
        let headers = LaxPacketHeaders::from_ethernet(frame).ok()?;
        let LinkHeader::Ethernet2(link) = headers.link? else {
            return None;
        };
        let TransportHeader::Tcp(tcp) = headers.transport? else {
            return None;
        };
        let (source, destination, ttl, ip_id, length) = match headers.net? {
            NetHeaders::Ipv4(ip, _) => (
                IpAddr::from(ip.source),
                IpAddr::from(ip.destination),
                ip.time_to_live,
                ip.identification,
                usize::from(ip.total_len).saturating_sub(ip.header_len()),
            ),
            NetHeaders::Ipv6(ip, extensions) => (
                IpAddr::from(ip.source),
                IpAddr::from(ip.destination),
                ip.hop_limit,
                0,
                usize::from(ip.payload_length).saturating_sub(extensions.header_len()),
            ),
            NetHeaders::Arp(_) => return None,
        };
        Some(Self {
            source_mac: link.source,
            destination_mac: link.destination,
            source,
            destination,
            ttl,
            ip_id,
            payload_length: length.saturating_sub(tcp.header_len()) as u32,
            tcp,
        })
    }

    /// The sequence number that follows this segment.
    pub fn next_sequence(&self) -> u32 {
        let flags = u32::from(self.tcp.syn) + u32::from(self.tcp.fin);
        self.tcp
            .sequence_number
            .wrapping_add(self.payload_length)
            .wrapping_add(flags)
    }

    /// Whether this ends before another one's end, in the same connection.
    pub fn is_behind(&self, other: &Self) -> bool {
        let ahead = self.next_sequence().wrapping_sub(other.next_sequence());
        !self.tcp.syn && ahead.cast_signed() < 0
    }

    pub fn source_socket(&self) -> SocketAddr {
        SocketAddr::new(self.source, self.tcp.source_port)
    }

    pub fn destination_socket(&self) -> SocketAddr {
        SocketAddr::new(self.destination, self.tcp.destination_port)
    }

    /// The frame, without payload, with right checksums.
    pub fn frame(&self) -> Result<Vec<u8>> {
        let length = self.tcp.header_len_u16();
        let ip = match (self.source, self.destination) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                let mut header =
                    Ipv4Header::new(length, self.ttl, IpNumber::TCP, from.octets(), to.octets())
                        .context("forging an IPv4 header")?;
                header.identification = self.ip_id;
                header.dont_fragment = true;
                IpHeaders::Ipv4(header, etherparse::Ipv4Extensions::default())
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => IpHeaders::Ipv6(
                Ipv6Header {
                    traffic_class: 0,
                    flow_label: Ipv6FlowLabel::ZERO,
                    payload_length: length,
                    next_header: IpNumber::TCP,
                    hop_limit: self.ttl,
                    source: from.octets(),
                    destination: to.octets(),
                },
                etherparse::Ipv6Extensions::default(),
            ),
            _ => bail!(
                "a segment cannot go from {} to {}",
                self.source,
                self.destination
            ),
        };
        let mut frame = Vec::with_capacity(128);
        PacketBuilder::ethernet2(self.source_mac, self.destination_mac)
            .ip(ip)
            .tcp_header(self.tcp.clone())
            .write(&mut frame, &[])
            .context("forging a frame")?;
        Ok(frame)
    }

    /// The length of an Ethernet header without tags.
    pub const LINK_LENGTH: usize = Ethernet2Header::LEN;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forged_segment_reads_back_as_it_was_meant() -> Result<()> {
        for (source, destination) in [("10.1.0.2", "10.3.0.2"), ("2001:db8:1::2", "2001:db8:3::2")]
        {
            let (source, destination): (IpAddr, IpAddr) = (source.parse()?, destination.parse()?);
            let mut tcp = TcpHeader::new(4000, 80, 0xffff_ffff, 1024);
            tcp.rst = true;
            let forged = Segment {
                source_mac: [2; 6],
                destination_mac: [4; 6],
                source,
                destination,
                ttl: 61,
                ip_id: if source.is_ipv4() { 7 } else { 0 },
                tcp,
                payload_length: 0,
            };
            let mut read = Segment::read(&forged.frame()?).context("no segment")?;
            read.tcp.checksum = 0;
            assert_eq!(read, forged);
        }
        Ok(())
    }

    #[test]
    fn syn_fin_and_payload_take_sequence_numbers() {
        let mut tcp = TcpHeader::new(1, 2, u32::MAX, 0);
        tcp.syn = true;
        tcp.fin = true;
        let segment = Segment {
            source_mac: [0; 6],
            destination_mac: [0; 6],
            source: IpAddr::from([10, 0, 0, 1]),
            destination: IpAddr::from([10, 0, 0, 2]),
            ttl: 64,
            ip_id: 0,
            tcp,
            payload_length: 10,
        };
        assert_eq!(segment.next_sequence(), 11);
    }
}
