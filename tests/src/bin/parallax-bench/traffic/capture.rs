//! Capture files: classic pcap, Ethernet, microseconds, little endian.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use super::frame::{Frame, SNAPLEN};

/// 2026-01-01T00:00:00Z in microseconds.
const EPOCH: u64 = 1_767_225_600_000_000;

/// A file that is being written.
pub struct Capture<W = BufWriter<File>> {
    out: W,
    pub packets: u64,
}

impl Capture {
    pub fn create(path: &Path) -> io::Result<Self> {
        Self::to(BufWriter::with_capacity(1 << 20, File::create(path)?))
    }
}

impl<W: Write> Capture<W> {
    pub fn to(mut out: W) -> io::Result<Self> {
        out.write_all(&0xa1b2_c3d4_u32.to_le_bytes())?;
        out.write_all(&[2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0])?;
        out.write_all(&(SNAPLEN as u32).to_le_bytes())?;
        out.write_all(&1_u32.to_le_bytes())?;
        Ok(Self { out, packets: 0 })
    }

    /// Adds a packet captured so many nanoseconds after the epoch of all these captures.
    pub fn write(&mut self, at: u64, frame: &Frame) -> io::Result<()> {
        let micros = EPOCH + at / 1_000;
        let kept = frame.kept();
        let mut head = [0; 16];
        head[..4].copy_from_slice(&((micros / 1_000_000) as u32).to_le_bytes());
        head[4..8].copy_from_slice(&((micros % 1_000_000) as u32).to_le_bytes());
        head[8..12].copy_from_slice(&(kept.len() as u32).to_le_bytes());
        head[12..].copy_from_slice(&u32::from(frame.on_wire).to_le_bytes());
        self.packets += 1;
        self.out.write_all(&head)?;
        self.out.write_all(kept)
    }

    pub fn finish(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }
}
