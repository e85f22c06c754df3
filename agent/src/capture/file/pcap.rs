//! The classic format: a file header of 24 octets, then records of 16 octets and a packet each
//! (draft-ietf-opsawg-pcap).

use parallax_core::CaptureTime;
use parallax_core::decode::LinkType;
use parallax_core::time::SECOND;

use super::Record;
use super::error::Flaw;
use super::order::Order;
use super::stream::Stream;

/// Longest packet believed in: what libpcap accepts is far below. More is a damaged length.
pub(super) const PACKET_MAX: usize = 16 * 1024 * 1024;

const FILE_HEADER: usize = 24;
const RECORD_HEADER: usize = 16;

#[derive(Clone)]
pub(super) struct Pcap {
    kind: Kind,
    link: LinkType,
}

/// What the magic number says.
#[derive(Clone, Copy)]
pub(super) struct Kind {
    order: Order,
    /// Nanoseconds in a unit of the time's fraction.
    unit: i64,
}

impl Pcap {
    pub fn recognize(magic: [u8; 4]) -> Option<Kind> {
        let (order, unit) = match magic {
            [0xd4, 0xc3, 0xb2, 0xa1] => (Order::Little, 1000),
            [0x4d, 0x3c, 0xb2, 0xa1] => (Order::Little, 1),
            [0xa1, 0xb2, 0xc3, 0xd4] => (Order::Big, 1000),
            [0xa1, 0xb2, 0x3c, 0x4d] => (Order::Big, 1),
            _ => return None,
        };
        Some(Kind { order, unit })
    }

    pub fn open(kind: Kind, stream: &mut Stream) -> Result<Self, Flaw> {
        if !stream.fill(FILE_HEADER)? {
            return Err(Flaw::CutHeader);
        }
        // The upper half tells the length of a frame check sequence, which lies behind the packet.
        let dlt = kind.order.u32(stream.ahead(), 20) & 0xffff;
        let link = LinkType::from_dlt(dlt).map_err(Flaw::UnsupportedLink)?;
        stream.take(FILE_HEADER);
        Ok(Self { kind, link })
    }

    /// Writes the next record where it is to stay; false at the end.
    #[expect(
        clippy::inline_always,
        reason = "the parts of each packet stay in registers"
    )]
    #[inline(always)]
    pub fn next(&mut self, stream: &mut Stream, record: &mut Record) -> Result<bool, Flaw> {
        let offset = stream.offset();
        if !stream.fill(RECORD_HEADER)? {
            return if stream.is_whole() {
                Ok(false)
            } else {
                let what = "a record's header";
                Err(Flaw::Cut { offset, what })
            };
        }
        let order = self.kind.order;
        let header = stream.ahead();
        let seconds = i64::from(order.u32(header, 0));
        let fraction = i64::from(order.u32(header, 4));
        let len = order.u32(header, 8) as usize;
        let original_len = order.u32(header, 12);
        if len > PACKET_MAX {
            let what = "a record claims more than 16 MiB";
            return Err(Flaw::Corrupt { offset, what });
        }
        if !stream.fill(RECORD_HEADER + len)? {
            let what = "a record's packet";
            return Err(Flaw::Cut { offset, what });
        }
        let start = stream.take(RECORD_HEADER + len) + RECORD_HEADER;
        record.time = Some(CaptureTime::from_nanos(
            seconds * SECOND + fraction * self.kind.unit,
        ));
        record.link = Some(self.link);
        record.original_len = original_len;
        record.interface = 0;
        record.start = start;
        record.len = len;
        Ok(true)
    }
}
