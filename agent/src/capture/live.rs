//! Live interfaces through libpcap: several in one thread, or one shared by several threads.
//!
//! Packets come through the kernel's ring in blocks (`TPACKET_V3`), which are handed over when full
//! or after [`BLOCK_WAIT`]. Immediate mode would bring each packet within microseconds, but wakes
//! the agent for each, costs twice as much a packet, and its ring holds fixed frames. Ten
//! milliseconds are little beside the way of a verdict; lost packets would be evidence lost.
//!
//! So a packet reaches [`LiveCapture::poll`] later than the kernel stamped it: coverage may be
//! claimed up to [`SETTLE`] before now, not up to now.

mod counters;
mod error;
mod fanout;
mod filter;
mod source;
mod standing;
mod stop;
mod write;

use std::path::PathBuf;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use parallax_core::CaptureTime;
use parallax_core::decode::{LinkType, RawPacket};

pub use counters::LiveCounters;
pub use error::LiveError;
pub use standing::Standing;
pub use stop::Stop;

use crate::clock;
use fanout::Group;
use source::Source;
use standing::Interfaces;
use stop::Stopped;
use write::PacketWriter;

/// How long the kernel may hold back a block that is not full.
pub const BLOCK_WAIT: Duration = Duration::from_millis(10);

/// How far behind now coverage stays: all packets that the kernel stamped before then have been
/// handed on by a [`LiveCapture::poll`] that returned [`Polled::Idle`] since. Several times
/// [`BLOCK_WAIT`], since the kernel's timer is coarse.
pub const SETTLE: Duration = Duration::from_millis(50);

/// Packets taken from one interface before the others have their turn.
const TURN: usize = 4096;

/// The interfaces that libpcap shows to this user.
///
/// # Errors
/// What libpcap says, in words.
pub fn devices() -> Result<Vec<String>, String> {
    let found = pcap::Device::list().map_err(|error| error.to_string())?;
    Ok(found.into_iter().map(|device| device.name).collect())
}

/// What to capture and how.
#[derive(Debug, Clone)]
pub struct LiveOptions {
    /// Interface names; `any` is every interface, with the direction of each packet.
    pub interfaces: Vec<String>,
    /// The user's own filter, beside TCP: pcap-filter(7).
    pub filter: Option<String>,
    pub tunnels: Tunnels,
    /// Octets kept of each packet.
    pub snaplen: u32,
    /// Octets of the kernel's ring, for each interface; threads that share it divide them, but for [`Self::LEAST_SHARE`].
    pub buffer_size: u32,
    pub promiscuous: Promiscuous,
    /// Also save the packets as captured to this pcap file; for one interface only.
    pub write: Option<PathBuf>,
}

/// Whether an interface takes in frames that are for other stations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promiscuous {
    Off,
    On,
}

/// Whether packets of tunnels are captured beside TCP, for the segments inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tunnels {
    Left,
    Taken,
}

impl LiveOptions {
    /// Link, IP and TCP headers with all options, and the octets that a payload's hash covers.
    pub const SNAPLEN: u32 = 192;
    pub const BUFFER_SIZE: u32 = 16 * 1024 * 1024;
    /// The least ring of a thread that shares interfaces.
    pub const LEAST_SHARE: u32 = 1024 * 1024;

    /// The default settings for these interfaces.
    pub fn new(interfaces: Vec<String>) -> Self {
        Self {
            interfaces,
            filter: None,
            tunnels: Tunnels::Taken,
            snaplen: Self::SNAPLEN,
            buffer_size: Self::BUFFER_SIZE,
            promiscuous: Promiscuous::Off,
            write: None,
        }
    }
}

/// What a [`LiveCapture::poll`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Polled {
    /// So many packets were handed on; more may wait.
    Packets(usize),
    /// No packet waits at any interface.
    Idle,
    /// [`Stop::stop`] was called; [`LiveCapture::finish`] fetches the last packets.
    Stopped,
}

/// Open interfaces.
pub struct LiveCapture {
    sources: Vec<Source>,
    interfaces: Interfaces,
    stopped: Stopped,
    writer: Option<PacketWriter>,
}

impl LiveCapture {
    /// Opens the interfaces in the network namespace of the calling thread; they stay open when the
    /// thread leaves it. Gives also the handle that ends [`Self::poll`] from another thread.
    ///
    /// # Errors
    /// When an interface does not exist or may not be captured on, its link type is not read, or the
    /// filter is no filter.
    pub fn open(options: &LiveOptions) -> Result<(Self, Stop), LiveError> {
        let (captures, stop) = Self::open_several(options, 1)?;
        let capture = captures.into_iter().next();
        Ok((capture.ok_or(LiveError::NoInterfaceNamed)?, stop))
    }

    /// As [`Self::open`], for `count` threads that share the packets of each interface: those of one
    /// connection come to one of them, as far as the kernel can tell. The handle ends all.
    ///
    /// # Errors
    /// As [`Self::open`], or when the kernel does not share.
    pub fn open_several(
        options: &LiveOptions,
        count: usize,
    ) -> Result<(Vec<Self>, Stop), LiveError> {
        if options.interfaces.is_empty() {
            return Err(LiveError::NoInterfaceNamed);
        }
        if options.interfaces.len() > 1 && options.write.is_some() {
            return Err(LiveError::WriteSeveral);
        }
        if count > 1 && options.write.is_some() {
            return Err(LiveError::WriteThreads);
        }
        let (stop, stopped) = stop::pair()?;
        let mut share = options.clone();
        if count > 1 {
            let part = options.buffer_size / u32::try_from(count).unwrap_or(u32::MAX);
            share.buffer_size = part.max(LiveOptions::LEAST_SHARE);
        }
        let mut captures = (0..count)
            .map(|_| Self::open_one(&share, stopped.clone()))
            .collect::<Result<Vec<_>, _>>()?;
        if count > 1 {
            share_out(&mut captures)?;
        }
        Ok((captures, stop))
    }

    fn open_one(options: &LiveOptions, stopped: Stopped) -> Result<Self, LiveError> {
        let sources = options
            .interfaces
            .iter()
            .enumerate()
            .map(|(index, name)| Source::open(name, index, options))
            .collect::<Result<Vec<_>, _>>()?;
        let writer = match (&options.write, sources.first()) {
            (Some(path), Some(source)) => Some(PacketWriter::create(path, source)?),
            _ => None,
        };
        let interfaces = Interfaces::new(sources.iter().map(|source| source.link().0));
        Ok(Self {
            sources,
            interfaces,
            stopped,
            writer,
        })
    }

    /// The interfaces with their link types, in the order in which they were named.
    pub fn links(&self) -> impl Iterator<Item = (&str, LinkType)> {
        self.sources.iter().map(Source::link)
    }

    /// The filter in effect at the first interface, pcap-filter(7).
    pub fn filter(&self) -> &str {
        self.sources.first().map_or("", Source::filter)
    }

    /// Waits for packets, at most for `timeout`, and hands on those that are there.
    ///
    /// # Errors
    /// When an interface went away or fails.
    pub fn poll(
        &mut self,
        timeout: Duration,
        take: &mut impl FnMut(RawPacket<'_>),
    ) -> Result<Polled, LiveError> {
        // Always looked at, so that a flood of packets does not hide it.
        let stop = self.wait(timeout)?;
        let taken = self.take_waiting(take)?;
        Ok(match (stop, taken) {
            (Woken::ToStop, _) => Polled::Stopped,
            (Woken::ToRead, 0) => Polled::Idle,
            (Woken::ToRead, taken) => Polled::Packets(taken),
        })
    }

    /// Hands on what the kernel still holds back, and writes the packet file to its end.
    ///
    /// # Errors
    /// As [`Self::poll`], or when the packet file cannot be written.
    pub fn finish(
        mut self,
        take: &mut impl FnMut(RawPacket<'_>),
    ) -> Result<LiveCounters, LiveError> {
        // Blocks that are not full yet come within the wait. Under a flood there is always more:
        // what comes after a few rounds is left.
        std::thread::sleep(2 * BLOCK_WAIT);
        for _ in 0..16 {
            if self.take_waiting(take)? == 0 {
                break;
            }
        }
        if let Some(writer) = &mut self.writer {
            writer.flush()?;
        }
        self.counters()
    }

    /// Packets received and lost since the last call, of all interfaces together.
    ///
    /// # Errors
    /// When libpcap cannot tell.
    pub fn counters(&mut self) -> Result<LiveCounters, LiveError> {
        let mut sum = LiveCounters::default();
        for source in &mut self.sources {
            sum.add(source.counters()?);
        }
        Ok(sum)
    }

    /// Whether the interfaces have been up since the last call.
    pub fn standing(&mut self) -> Standing {
        self.interfaces.look()
    }

    fn wait(&mut self, timeout: Duration) -> Result<Woken, LiveError> {
        let timeout = whole_millis(timeout);
        let mut descriptors: Vec<PollFd<'_>> = std::iter::once(self.stopped.descriptor())
            .chain(self.sources.iter().map(Source::descriptor))
            .map(|descriptor| PollFd::new(descriptor, PollFlags::POLLIN))
            .collect();
        match poll(&mut descriptors, timeout) {
            // A signal: whoever handles it says whether to stop.
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(source) => return Err(LiveError::Wait { source }),
        }
        let failed = |descriptor: &PollFd<'_>| {
            descriptor
                .revents()
                .is_some_and(|events| events.contains(PollFlags::POLLERR))
        };
        let disturbed: Vec<usize> = descriptors[1..]
            .iter()
            .enumerate()
            .filter(|(_, descriptor)| failed(descriptor))
            .map(|(place, _)| place)
            .collect();
        let stopped = descriptors[0].any().unwrap_or(false);
        for place in disturbed {
            self.interfaces.disturb(place);
        }
        Ok(if stopped {
            Woken::ToStop
        } else {
            Woken::ToRead
        })
    }

    fn take_waiting(&mut self, take: &mut impl FnMut(RawPacket<'_>)) -> Result<usize, LiveError> {
        let mut taken = 0;
        for source in &mut self.sources {
            taken += source.take(TURN, self.writer.as_mut(), take)?;
        }
        if let Some(writer) = &mut self.writer {
            writer.flush_if_due(taken)?;
        }
        Ok(taken)
    }
}

/// In the kernel's unit, rounded up: who waits for a part of a millisecond would ask again and again meanwhile.
fn whole_millis(timeout: Duration) -> PollTimeout {
    let millis = timeout.as_nanos().div_ceil(1_000_000);
    PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX)
}

/// Makes of captures that get every packet captures that get each packet once. What came before is left.
fn share_out(captures: &mut [LiveCapture]) -> Result<(), LiveError> {
    let mut groups: Vec<Option<Group>> = Vec::new();
    for capture in captures.iter() {
        groups.resize(capture.sources.len(), None);
        for (source, group) in capture.sources.iter().zip(&mut groups) {
            *group = Some(source.share(*group)?);
        }
    }
    let shared = clock::wall();
    // Until then the kernel may hold back blocks from before.
    std::thread::sleep(SETTLE);
    captures
        .iter_mut()
        .flat_map(|capture| &mut capture.sources)
        .try_for_each(|source| leave_before(source, shared))
}

/// Passes over the packets from before a moment.
fn leave_before(source: &mut Source, moment: CaptureTime) -> Result<(), LiveError> {
    /// What a ring holds is less than that; only a clock that was set back meanwhile comes so far.
    const ROUNDS: usize = 1024;
    for _ in 0..ROUNDS {
        let mut reached = false;
        let mut look = |packet: RawPacket<'_>| reached |= packet.time >= moment;
        if source.take(TURN, None, &mut look)? == 0 || reached {
            break;
        }
    }
    Ok(())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Woken {
    ToStop,
    ToRead,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_millisecond_is_waited_for_and_not_asked_away() {
        let millis = |timeout| whole_millis(timeout).as_millis();
        assert_eq!(millis(Duration::ZERO), Some(0));
        assert_eq!(millis(Duration::from_nanos(1)), Some(1));
        assert_eq!(millis(Duration::from_micros(19_001)), Some(20));
        assert_eq!(millis(Duration::MAX), PollTimeout::MAX.as_millis());
    }
}
