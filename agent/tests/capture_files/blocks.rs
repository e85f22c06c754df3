//! pcapng files put together block by block.

use super::build::number;

/// A pcapng file in one byte order.
pub struct Blocks {
    pub big: bool,
    pub octets: Vec<u8>,
}

impl Blocks {
    pub fn section(big: bool) -> Self {
        let mut blocks = Self {
            big,
            octets: Vec::new(),
        };
        blocks.section_header();
        blocks
    }

    pub fn section_header(&mut self) {
        let mut body = self.u32(0x1a2b_3c4d).to_vec();
        body.extend(self.u16(1));
        body.extend(self.u16(0));
        body.extend([0xff; 8]);
        self.block(0x0a0d_0d0a, &body);
    }

    pub fn u16(&self, value: u16) -> [u8; 2] {
        if self.big {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        }
    }

    pub fn u32(&self, value: u32) -> [u8; 4] {
        number(self.big, value)
    }

    pub fn u64(&self, value: u64) -> [u8; 8] {
        if self.big {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        }
    }

    pub fn block(&mut self, kind: u32, body: &[u8]) {
        let padded = body.len().next_multiple_of(4);
        let total = self.u32(padded as u32 + 12);
        self.octets.extend(number(self.big, kind));
        self.octets.extend(total);
        self.octets.extend(body);
        self.octets
            .resize(self.octets.len() + padded - body.len(), 0);
        self.octets.extend(total);
    }

    pub fn options(&self, options: &[(u16, Vec<u8>)]) -> Vec<u8> {
        let mut octets = Vec::new();
        for (code, value) in options {
            octets.extend(self.u16(*code));
            octets.extend(self.u16(value.len() as u16));
            octets.extend(value);
            octets.resize(octets.len().next_multiple_of(4), 0);
        }
        octets.extend([0; 4]);
        octets
    }

    pub fn interface(&mut self, link: u16, options: &[(u16, Vec<u8>)]) {
        let mut body = self.u16(link).to_vec();
        body.extend([0; 2]);
        body.extend(self.u32(0));
        body.extend(self.options(options));
        self.block(1, &body);
    }

    /// Upper half first, whatever the byte order.
    pub fn halves(&self, ticks: u64) -> Vec<u8> {
        [self.u32((ticks >> 32) as u32), self.u32(ticks as u32)].concat()
    }

    pub fn enhanced(
        &mut self,
        interface: u32,
        ticks: u64,
        data: &[u8],
        options: &[(u16, Vec<u8>)],
    ) {
        let mut body = self.u32(interface).to_vec();
        body.extend(self.halves(ticks));
        body.extend(self.u32(data.len() as u32));
        body.extend(self.u32(data.len() as u32));
        body.extend(data);
        body.resize(body.len().next_multiple_of(4), 0);
        body.extend(self.options(options));
        self.block(6, &body);
    }

    pub fn statistics(&mut self, interface: u32, ticks: u64, options: &[(u16, Vec<u8>)]) {
        let mut body = self.u32(interface).to_vec();
        body.extend(self.halves(ticks));
        body.extend(self.options(options));
        self.block(5, &body);
    }
}
