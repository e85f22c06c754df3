//! TCP sequence numbers, which wrap at 2^32 (RFC 9293, 3.4).

use std::fmt;

use serde::{Deserialize, Serialize};

/// A sequence or acknowledgement number. It has no total order: compare by [`TcpSeq::since`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TcpSeq(pub u32);

impl TcpSeq {
    /// Signed distance from `earlier` to this number, right while they are within 2^31.
    pub const fn since(self, earlier: Self) -> i32 {
        self.0.wrapping_sub(earlier.0) as i32
    }

    pub const fn before(self, other: Self) -> bool {
        self.since(other) < 0
    }

    pub const fn after(self, other: Self) -> bool {
        self.since(other) > 0
    }

    #[must_use]
    pub const fn plus(self, octets: u32) -> Self {
        Self(self.0.wrapping_add(octets))
    }
}

impl fmt::Display for TcpSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn order_holds_across_the_wrap() {
        assert!(TcpSeq(u32::MAX).before(TcpSeq(3)));
        assert!(TcpSeq(3).after(TcpSeq(u32::MAX)));
        assert_eq!(TcpSeq(u32::MAX).plus(4), TcpSeq(3));
    }

    proptest! {
        #[test]
        fn distance_undoes_plus(start: u32, octets in 0..=i32::MAX as u32) {
            prop_assert_eq!(TcpSeq(start).plus(octets).since(TcpSeq(start)), octets as i32);
        }
    }
}
