//! Frames on a wire, as fast as one processor sends them.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::path::Path;

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, sendmmsg};
use pcap::{Active, Capture};

/// Frames of one system call.
const AT_ONCE: usize = 64;

/// The longest frame that a capture here has.
const LONGEST: usize = 65_536;

/// A frame's first octets, and how long it is on the wire: zeros fill it up.
struct Cut {
    from: usize,
    until: usize,
    rest: usize,
}

/// All frames of a capture, in memory.
pub struct Frames {
    octets: Vec<u8>,
    cuts: Vec<Cut>,
}

impl Frames {
    pub fn read(path: &Path) -> Result<Self> {
        let mut file =
            Capture::from_file(path).with_context(|| format!("reading {}", path.display()))?;
        let mut frames = Self {
            octets: Vec::new(),
            cuts: Vec::new(),
        };
        loop {
            let packet = match file.next_packet() {
                Ok(packet) => packet,
                Err(pcap::Error::NoMorePackets) => return Ok(frames),
                Err(error) => return Err(error).context("reading a packet"),
            };
            let from = frames.octets.len();
            frames.octets.extend_from_slice(packet.data);
            let rest = (packet.header.len as usize).saturating_sub(packet.data.len());
            frames.cuts.push(Cut {
                from,
                until: frames.octets.len(),
                rest: rest.min(LONGEST),
            });
        }
    }

    pub fn len(&self) -> usize {
        self.cuts.len()
    }

    /// Mean length on the wire.
    pub fn mean(&self) -> f64 {
        let octets = |cut: &Cut| cut.until - cut.from + cut.rest;
        let sum: usize = self.cuts.iter().map(octets).sum();
        sum as f64 / self.len().max(1) as f64
    }

    /// Sends all of them.
    pub fn send(&self, wire: &Capture<Active>) -> io::Result<()> {
        let zeros = vec![0; LONGEST];
        let socket = wire.as_fd().as_raw_fd();
        for cuts in self.cuts.chunks(AT_ONCE) {
            let frames: Vec<[IoSlice<'_>; 2]> = cuts
                .iter()
                .map(|cut| {
                    let told = &self.octets[cut.from..cut.until];
                    [IoSlice::new(told), IoSlice::new(&zeros[..cut.rest])]
                })
                .collect();
            let mut sent = 0;
            while sent < frames.len() {
                let mut headers = MultiHeaders::<()>::preallocate(frames.len() - sent, None);
                let nowhere = [None; AT_ONCE];
                let rest = &frames[sent..];
                match sendmmsg(socket, &mut headers, rest, nowhere, [], MsgFlags::empty()) {
                    Ok(results) => sent += results.count(),
                    // The wire is full for a moment.
                    Err(Errno::ENOBUFS | Errno::EAGAIN | Errno::EINTR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }
}
