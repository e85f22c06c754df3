//! Reading octets that may not be there.

/// Part of a packet: what was captured of it, and how long the headers say it was.
#[derive(Debug, Clone, Copy)]
pub(super) struct Body<'a> {
    /// Never longer than `declared`.
    pub captured: &'a [u8],
    pub declared: usize,
}

/// Why the octets asked for are not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// The packet had them, the capture does not.
    Cut,
    /// The packet never had them.
    Overrun,
}

impl<'a> Body<'a> {
    #[inline]
    pub fn new(octets: &'a [u8], declared: usize) -> Self {
        Self {
            captured: &octets[..octets.len().min(declared)],
            declared,
        }
    }

    /// The first `len` octets and what follows them.
    #[inline]
    pub fn split(self, len: usize) -> Result<(&'a [u8], Self), Missing> {
        if len > self.declared {
            return Err(Missing::Overrun);
        }
        let (head, rest) = self.captured.split_at_checked(len).ok_or(Missing::Cut)?;
        Ok((head, Self::new(rest, self.declared - len)))
    }
}

/// A big-endian 16-bit number at `at`.
pub(super) fn be16(octets: &[u8], at: usize) -> Option<u16> {
    let field = octets.get(at..)?.first_chunk()?;
    Some(u16::from_be_bytes(*field))
}

/// A big-endian 32-bit number at `at`.
pub(super) fn be32(octets: &[u8], at: usize) -> Option<u32> {
    let field = octets.get(at..)?.first_chunk()?;
    Some(u32::from_be_bytes(*field))
}
