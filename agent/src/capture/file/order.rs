//! Numbers in the byte order of the machine that wrote the file.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Little,
    Big,
}

impl Order {
    /// The number at `at`; 0 past the end, which callers have excluded.
    #[inline]
    pub fn u16(self, octets: &[u8], at: usize) -> u16 {
        let field = field(octets, at);
        match self {
            Self::Little => u16::from_le_bytes(field),
            Self::Big => u16::from_be_bytes(field),
        }
    }

    /// As [`Self::u16`].
    #[inline]
    pub fn u32(self, octets: &[u8], at: usize) -> u32 {
        let field = field(octets, at);
        match self {
            Self::Little => u32::from_le_bytes(field),
            Self::Big => u32::from_be_bytes(field),
        }
    }

    /// As [`Self::u16`].
    pub fn u64(self, octets: &[u8], at: usize) -> u64 {
        let field = field(octets, at);
        match self {
            Self::Little => u64::from_le_bytes(field),
            Self::Big => u64::from_be_bytes(field),
        }
    }
}

#[inline]
fn field<const LEN: usize>(octets: &[u8], at: usize) -> [u8; LEN] {
    octets
        .get(at..)
        .and_then(<[u8]>::first_chunk)
        .copied()
        .unwrap_or([0; LEN])
}
