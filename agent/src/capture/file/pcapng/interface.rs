//! Interfaces of a section, and options of blocks.

use parallax_core::CaptureTime;
use parallax_core::decode::{LinkType, UnsupportedLink};
use parallax_core::time::SECOND;

use super::super::order::Order;

#[derive(Clone)]
pub(super) struct Interface {
    pub link: Result<LinkType, UnsupportedLink>,
    /// Octets kept of each packet; 0: all.
    pub snaplen: u32,
    pub packets: u64,
    /// Losses told packet by packet.
    pub lost_between: u64,
    /// Losses told by the statistics.
    pub lost_in_all: u64,
    resolution: Resolution,
    /// Nanoseconds to add to each time.
    offset: i64,
}

/// How long a tick of the interface's clock is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Resolution {
    /// So many nanoseconds.
    Nanos(i64),
    /// So many ticks make a nanosecond.
    PerNano(u64),
    /// A second divided by two to this power.
    Binary(u8),
}

impl Resolution {
    /// The option `if_tsresol`: a power of ten, or of two with the upper bit set.
    fn read(octet: u8) -> Self {
        match octet {
            0..=9 => Self::Nanos(10_i64.pow(9 - u32::from(octet))),
            10..=28 => Self::PerNano(10_u64.pow(u32::from(octet) - 9)),
            // Finer than 64 bits can count: every time is at the epoch.
            29..=127 => Self::PerNano(u64::MAX),
            _ => Self::Binary(octet & 0x7f),
        }
    }

    fn nanos(self, ticks: u64) -> Option<i64> {
        match self {
            Self::Nanos(nanos) => i64::try_from(ticks).ok()?.checked_mul(nanos),
            Self::PerNano(count) => i64::try_from(ticks / count).ok(),
            Self::Binary(power) => {
                // Below 2^64 * 2^30, so it fits.
                let nanos = u128::from(ticks) * SECOND as u128;
                i64::try_from(nanos >> power).ok()
            }
        }
    }
}

impl Interface {
    /// An interface description: link type, reserved, snaplen, options. `None` when it is too short.
    pub fn read(order: Order, body: &[u8]) -> Option<Self> {
        if body.len() < 8 {
            return None;
        }
        let mut interface = Self {
            link: LinkType::from_dlt(u32::from(order.u16(body, 0))),
            snaplen: order.u32(body, 4),
            packets: 0,
            lost_between: 0,
            lost_in_all: 0,
            resolution: Resolution::read(6),
            offset: 0,
        };
        for (code, value) in options(order, body, 8) {
            match (code, value) {
                // if_tsresol.
                (9, [octet]) => interface.resolution = Resolution::read(*octet),
                // if_tsoffset, in seconds.
                (14, [_, _, _, _, _, _, _, _]) => {
                    interface.offset = (order.u64(value, 0) as i64).saturating_mul(SECOND);
                }
                _ => {}
            }
        }
        Some(interface)
    }

    /// The time of so many ticks of this interface's clock, if it fits.
    #[inline]
    pub fn time(&self, ticks: u64) -> Option<CaptureTime> {
        let nanos = self.resolution.nanos(ticks)?.checked_add(self.offset)?;
        Some(CaptureTime::from_nanos(nanos))
    }

    /// Packets lost at this interface, however that was told.
    pub fn lost(&self) -> u64 {
        self.lost_between.max(self.lost_in_all)
    }
}

/// A block's options, which begin on the first 32-bit boundary at or behind `at`.
pub(super) fn options(order: Order, body: &[u8], at: usize) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = body.get(at.next_multiple_of(4)..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (head, tail) = rest.split_at_checked(4)?;
        let (code, len) = (order.u16(head, 0), usize::from(order.u16(head, 2)));
        if code == 0 {
            return None;
        }
        let value = tail.get(..len)?;
        rest = tail.get(len.next_multiple_of(4)..).unwrap_or_default();
        Some((code, value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_of_every_resolution_become_nanoseconds() {
        let cases = [
            (0, 3, Some(3 * SECOND)),
            (3, 1_500, Some(1_500_000_000)),
            (6, 1_500_000, Some(1_500_000_000)),
            (9, 7, Some(7)),
            (12, 7_999, Some(7)),
            (0x8a, 1536, Some(1_500_000_000)),
            (0xa0, 1 << 31, Some(500_000_000)),
            (0xff, u64::MAX, Some(0)),
            (100, u64::MAX, Some(1)),
            (6, u64::MAX, None),
            (9, u64::MAX, None),
        ];
        for (octet, ticks, nanos) in cases {
            assert_eq!(
                Resolution::read(octet).nanos(ticks),
                nanos,
                "{octet} {ticks}"
            );
        }
    }
}
