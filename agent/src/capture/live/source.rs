//! One open interface.

use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::Path;

use nix::net::if_::if_nameindex;
use parallax_core::CaptureTime;
use parallax_core::decode::{LinkType, RawPacket};
use parallax_core::time::SECOND;
use pcap::{Active, Capture, Linktype, Packet, Precision, Savefile};

use super::counters::{Last, LiveCounters};
use super::error::LiveError;
use super::fanout::Group;
use super::filter;
use super::write::PacketWriter;
use super::{BLOCK_WAIT, LiveOptions, Promiscuous};

/// Every interface at once.
const ANY: &str = "any";

pub(super) struct Source {
    name: String,
    index: u8,
    link: LinkType,
    filter: String,
    capture: Capture<Active>,
    last: Last,
}

impl Source {
    pub fn open(name: &str, index: usize, options: &LiveOptions) -> Result<Self, LiveError> {
        require_existing(name)?;
        let mut capture = activate(name, options)?;
        if name == ANY {
            // The second cooked type tells the interface too. Where libpcap is too old for it, the
            // first one, which tells the direction as well, stays.
            let _ = capture.set_datalink(Linktype::LINUX_SLL2);
        }
        let link = LinkType::from_dlt(capture.get_datalink().0 as u32).map_err(|source| {
            LiveError::UnsupportedLink {
                interface: name.to_owned(),
                source,
            }
        })?;
        let filter = filter::expression(link, options.filter.as_deref(), options.tunnels);
        // A filter is also what makes the kernel honour the snaplen.
        capture
            .filter(&filter, true)
            .map_err(|source| LiveError::BadFilter {
                filter: options.filter.clone().unwrap_or(filter.clone()),
                source,
            })?;
        let capture = capture.setnonblock().map_err(open_error(name))?;
        Ok(Self {
            name: name.to_owned(),
            index: u8::try_from(index).unwrap_or(u8::MAX),
            link,
            filter,
            capture,
            last: Last::new(),
        })
    }

    pub fn link(&self) -> (&str, LinkType) {
        (&self.name, self.link)
    }

    pub fn filter(&self) -> &str {
        &self.filter
    }

    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.capture.as_fd()
    }

    /// From now on it gets its share only of what the interface brings; `group`: of the others' that share it.
    pub fn share(&self, group: Option<Group>) -> Result<Group, LiveError> {
        let socket = self.descriptor();
        let shared = match group {
            None => Group::found(&socket),
            Some(group) => group.join(&socket).map(|()| group),
        };
        shared.map_err(|source| LiveError::Share {
            interface: self.name.clone(),
            source,
        })
    }

    pub fn savefile(&self, path: &Path) -> Result<Savefile, pcap::Error> {
        self.capture.savefile(path)
    }

    /// Hands on at most `most` packets that are there.
    pub fn take(
        &mut self,
        most: usize,
        mut writer: Option<&mut PacketWriter>,
        take: &mut impl FnMut(RawPacket<'_>),
    ) -> Result<usize, LiveError> {
        let (link, index) = (self.link, self.index);
        self.capture
            .dispatch(Some(most), |packet| {
                if let Some(writer) = &mut writer {
                    writer.write(&packet);
                }
                take(raw(&packet, link, index));
            })
            .map_err(lost(&self.name))
    }

    pub fn counters(&mut self) -> Result<LiveCounters, LiveError> {
        let now = self.capture.stats().map_err(|source| LiveError::Counters {
            interface: self.name.clone(),
            source,
        })?;
        Ok(self.last.since(now))
    }
}

/// libpcap tells that an interface is no longer there only in words.
fn lost(name: &str) -> impl Fn(pcap::Error) -> LiveError {
    move |source| {
        let interface = name.to_owned();
        if source.to_string().contains("disappeared") {
            return LiveError::Gone { interface };
        }
        LiveError::Lost { interface, source }
    }
}

/// libpcap's packet as ours. With nanosecond precision the field for microseconds holds nanoseconds.
fn raw<'a>(packet: &Packet<'a>, link: LinkType, interface: u8) -> RawPacket<'a> {
    let stamp = packet.header.ts;
    RawPacket {
        time: CaptureTime::from_nanos(stamp.tv_sec * SECOND + stamp.tv_usec),
        link,
        original_len: packet.header.len,
        interface,
        data: packet.data,
    }
}

fn activate(name: &str, options: &LiveOptions) -> Result<Capture<Active>, LiveError> {
    let capture = Capture::from_device(name)
        .map_err(open_error(name))?
        .snaplen(i32::try_from(options.snaplen).unwrap_or(i32::MAX))
        .buffer_size(i32::try_from(options.buffer_size).unwrap_or(i32::MAX))
        .timeout(BLOCK_WAIT.as_millis() as i32)
        .precision(Precision::Nano)
        // Pointless on `any`, and libpcap warns there.
        .promisc(options.promiscuous == Promiscuous::On && name != ANY);
    capture.open().map_err(open_error(name))
}

fn require_existing(name: &str) -> Result<(), LiveError> {
    let existing = existing();
    // Without a list the opening says what is wrong.
    if name == ANY || existing.is_empty() || existing.iter().any(|known| known == name) {
        return Ok(());
    }
    Err(LiveError::NoSuchInterface {
        interface: name.to_owned(),
        existing,
    })
}

fn existing() -> Vec<String> {
    let Ok(interfaces) = if_nameindex() else {
        return Vec::new();
    };
    interfaces
        .iter()
        .map(|interface| interface.name().to_string_lossy().into_owned())
        .collect()
}

/// libpcap tells a missing right and an interface that is down only in words.
fn open_error(name: &str) -> impl Fn(pcap::Error) -> LiveError {
    move |source| {
        let interface = name.to_owned();
        let words = source.to_string().to_lowercase();
        if words.contains("permi") {
            let program = std::env::current_exe().unwrap_or_else(|_| "parallax-agent".into());
            return LiveError::NoRight { interface, program };
        }
        if words.contains("not up") {
            return LiveError::Down { interface };
        }
        LiveError::Open { interface, source }
    }
}
