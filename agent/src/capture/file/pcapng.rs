//! The block format (draft-ietf-opsawg-pcapng): sections, interfaces of several link types, packets,
//! statistics.

mod interface;

use parallax_core::CaptureTime;
use parallax_core::decode::UnsupportedLink;

use self::interface::{Interface, options};
use super::Record;
use super::error::Flaw;
use super::order::Order;
use super::pcap::PACKET_MAX;
use super::stream::Stream;

/// The type of a section header block: a palindrome, the same in both byte orders.
pub(super) const MAGIC: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const OBSOLETE_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const STATISTICS: u32 = 5;
const ENHANCED_PACKET: u32 = 6;

/// Octets of a block around its body: type and length before, length again behind.
const FRAME: usize = 12;

const DAMAGED: &str = "a block's lengths contradict each other";

#[derive(Clone)]
pub(super) struct Pcapng {
    order: Order,
    /// Of the section being read.
    interfaces: Vec<Interface>,
    /// Of the sections before.
    earlier: Vec<Interface>,
    end_time: Option<CaptureTime>,
}

struct Block {
    kind: u32,
    /// Of the body, in the stream's buffer.
    start: usize,
    len: usize,
    offset: u64,
}

impl Pcapng {
    /// The first block must be a whole section header.
    pub fn open(stream: &mut Stream) -> Result<Self, Flaw> {
        let mut pcapng = Self {
            order: Order::Little,
            interfaces: Vec::new(),
            earlier: Vec::new(),
            end_time: None,
        };
        match pcapng.block(stream) {
            Ok(_) => Ok(pcapng),
            Err(Flaw::Cut { .. }) => Err(Flaw::CutHeader),
            Err(flaw) => Err(flaw),
        }
    }

    pub fn next(&mut self, stream: &mut Stream) -> Result<Option<Record>, Flaw> {
        while let Some(block) = self.block(stream)? {
            let body = stream.at(block.start, block.len);
            let record = match block.kind {
                ENHANCED_PACKET => Some(self.enhanced(&block, body)?),
                OBSOLETE_PACKET => Some(self.obsolete(&block, body)?),
                SIMPLE_PACKET => Some(self.simple(&block, body)?),
                INTERFACE => {
                    let interface = Interface::read(self.order, body)
                        .ok_or_else(|| block.corrupt("an interface description is too short"))?;
                    self.interfaces.push(interface);
                    None
                }
                STATISTICS => {
                    self.statistics(body);
                    None
                }
                _ => None,
            };
            if record.is_some() {
                return Ok(record);
            }
        }
        Ok(None)
    }

    /// Takes the next block. A section header also sets the byte order.
    #[inline]
    fn block(&mut self, stream: &mut Stream) -> Result<Option<Block>, Flaw> {
        let offset = stream.offset();
        if !stream.fill(FRAME)? {
            return if stream.is_whole() {
                Ok(None)
            } else {
                let what = "a block's header";
                Err(Flaw::Cut { offset, what })
            };
        }
        let head = stream.ahead();
        if head.starts_with(&MAGIC) {
            self.order = match head[8..12] {
                [0x4d, 0x3c, 0x2b, 0x1a] => Order::Little,
                [0x1a, 0x2b, 0x3c, 0x4d] => Order::Big,
                _ => {
                    let what = "a section header without byte order";
                    return Err(Flaw::Corrupt { offset, what });
                }
            };
            self.earlier.append(&mut self.interfaces);
        }
        let order = self.order;
        let kind = order.u32(head, 0);
        let total = order.u32(head, 4) as usize;
        let least = if kind == SECTION { 28 } else { FRAME };
        if total < least || total > PACKET_MAX || !total.is_multiple_of(4) {
            let what = DAMAGED;
            return Err(Flaw::Corrupt { offset, what });
        }
        if !stream.fill(total)? {
            let what = "a block";
            return Err(Flaw::Cut { offset, what });
        }
        if order.u32(stream.ahead(), total - 4) as usize != total {
            let what = DAMAGED;
            return Err(Flaw::Corrupt { offset, what });
        }
        Ok(Some(Block {
            kind,
            start: stream.take(total) + 8,
            len: total - FRAME,
            offset,
        }))
    }

    /// Interface, time (upper, lower half), captured length, original length, packet, options.
    fn enhanced(&mut self, block: &Block, body: &[u8]) -> Result<Record, Flaw> {
        let interface = self.order.u32(body, 0);
        self.packet(block, body, interface)
    }

    /// As the enhanced packet, but for a 16-bit interface, then 16 bits of losses.
    fn obsolete(&mut self, block: &Block, body: &[u8]) -> Result<Record, Flaw> {
        let interface = self.order.u16(body, 0);
        let record = self.packet(block, body, u32::from(interface))?;
        let lost = self.order.u16(body, 2);
        if lost != u16::MAX {
            self.interfaces[usize::from(interface)].lost_between += u64::from(lost);
        }
        Ok(record)
    }

    fn packet(&mut self, block: &Block, body: &[u8], interface: u32) -> Result<Record, Flaw> {
        let order = self.order;
        let len = order.u32(body, 12) as usize;
        if body.len() < 20 || len > body.len() - 20 {
            return Err(block.corrupt(DAMAGED));
        }
        let ticks = u64::from(order.u32(body, 4)) << 32 | u64::from(order.u32(body, 8));
        let Some(source) = self.interfaces.get_mut(interface as usize) else {
            return Err(block.corrupt("a packet of an interface that was not described"));
        };
        if block.kind == ENHANCED_PACKET {
            for (code, value) in options(order, &body[20..], len) {
                // epb_dropcount: lost since the packet before.
                if code == 4 && value.len() == 8 {
                    source.lost_between += order.u64(value, 0);
                }
            }
        }
        source.packets += 1;
        Ok(Record {
            time: source.time(ticks),
            link: source.link.ok(),
            original_len: order.u32(body, 16),
            interface: u8::try_from(interface).unwrap_or(u8::MAX),
            start: block.start + 20,
            len,
        })
    }

    /// Original length and packet of the first interface; it has no time.
    fn simple(&mut self, block: &Block, body: &[u8]) -> Result<Record, Flaw> {
        let Some(source) = self.interfaces.first_mut() else {
            return Err(block.corrupt("a packet of an interface that was not described"));
        };
        if body.len() < 4 {
            return Err(block.corrupt(DAMAGED));
        }
        let original_len = self.order.u32(body, 0);
        let snaplen = match source.snaplen {
            0 => usize::MAX,
            snaplen => snaplen as usize,
        };
        source.packets += 1;
        Ok(Record {
            time: None,
            link: source.link.ok(),
            original_len,
            interface: 0,
            start: block.start + 4,
            len: (body.len() - 4).min(original_len as usize).min(snaplen),
        })
    }

    /// Interface, time, options. Counters run from the start of the capture, so the last ones count.
    fn statistics(&mut self, body: &[u8]) {
        let order = self.order;
        let Some(source) = self.interfaces.get_mut(order.u32(body, 0) as usize) else {
            return;
        };
        let mut dropped = 0_u64;
        for (code, value) in options(order, body, 12) {
            match (code, value.len()) {
                // isb_endtime.
                (3, 8) => {
                    let ticks =
                        u64::from(order.u32(value, 0)) << 32 | u64::from(order.u32(value, 4));
                    self.end_time = self.end_time.max(source.time(ticks));
                }
                // isb_ifdrop, isb_osdrop.
                (5 | 7, 8) => dropped = dropped.saturating_add(order.u64(value, 0)),
                _ => {}
            }
        }
        source.lost_in_all = source.lost_in_all.max(dropped);
    }

    /// When the capture ended, by the statistics of its interfaces.
    pub fn end_time(&self) -> Option<CaptureTime> {
        self.end_time
    }

    /// Packets lost before they reached the file.
    pub fn dropped(&self) -> u64 {
        self.described().map(Interface::lost).sum()
    }

    /// How many interfaces are described, in all sections.
    pub fn interfaces(&self) -> usize {
        self.described().count()
    }

    fn described(&self) -> impl Iterator<Item = &Interface> {
        self.earlier.iter().chain(&self.interfaces)
    }

    /// The link type to name when packets came, but none of a link type that is read.
    pub fn only_unsupported(&self) -> Option<UnsupportedLink> {
        let mut with_packets = self.described().filter(|interface| interface.packets > 0);
        let first = with_packets.next()?.link.err()?;
        with_packets
            .all(|interface| interface.link.is_err())
            .then_some(first)
    }

    /// The interfaces whose packets are not read, with their number.
    pub fn unsupported(&self) -> impl Iterator<Item = (u32, UnsupportedLink)> {
        [&self.earlier, &self.interfaces]
            .into_iter()
            .flat_map(|interfaces| (0..).zip(interfaces))
            .filter(|(_, interface)| interface.packets > 0)
            .filter_map(|(number, interface)| Some((number, interface.link.err()?)))
    }
}

impl Block {
    fn corrupt(&self, what: &'static str) -> Flaw {
        let offset = self.offset;
        Flaw::Corrupt { offset, what }
    }
}
