//! Whether interfaces are up: no packet tells that none can come.
//!
//! A socket outlives its interface's being down, and takes up again when that is up (packet(7)); libpcap says nothing
//! of it. Interfaces are known by their numbers, which a new name leaves alone.

use std::collections::HashMap;

use nix::ifaddrs::getifaddrs;
use nix::net::if_::{InterfaceFlags, if_nametoindex};
use tracing::info;

/// How the interfaces of a capture have been since the last look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    Up,
    /// These were down, or without carrier, and others were not.
    Partly(Vec<String>),
    /// All were: nothing that passed was seen.
    Down(Vec<String>),
}

/// The interfaces of one capture.
#[derive(Debug)]
pub(super) struct Interfaces {
    /// Number and name; no number for `any`, which is always up.
    known: Vec<(Option<u32>, String)>,
    /// That had an error since the last look: they were down, though perhaps for a moment only.
    disturbed: Vec<bool>,
}

impl Interfaces {
    pub fn new<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let known: Vec<_> = names
            .map(|name| (if_nametoindex(name).ok(), name.to_owned()))
            .collect();
        Self {
            disturbed: vec![false; known.len()],
            known,
        }
    }

    /// The socket of the interface at this place told an error.
    pub fn disturb(&mut self, place: usize) {
        if let Some(disturbed) = self.disturbed.get_mut(place) {
            *disturbed = true;
        }
    }

    pub fn look(&mut self) -> Standing {
        let now = read();
        let mut down = Vec::new();
        for ((index, name), disturbed) in self.known.iter_mut().zip(&mut self.disturbed) {
            let disturbed = std::mem::take(disturbed);
            let Some((called, flags)) = index.and_then(|index| now.get(&index)) else {
                // Gone, which reading tells; or nobody knows.
                continue;
            };
            if name != called {
                info!("interface {name} is called {called} from now on");
                name.clone_from(called);
            }
            let up = InterfaceFlags::IFF_UP | InterfaceFlags::IFF_RUNNING;
            if disturbed || !flags.contains(up) {
                down.push(name.clone());
            }
        }
        match down.len() {
            0 => Standing::Up,
            count if count == self.known.len() => Standing::Down(down),
            _ => Standing::Partly(down),
        }
    }
}

/// Names and flags of all interfaces by number; empty where they cannot be had.
fn read() -> HashMap<u32, (String, InterfaceFlags)> {
    let all = getifaddrs().into_iter().flatten();
    all.filter_map(|one| {
        let index = one.address?.as_link_addr()?.ifindex();
        let index = u32::try_from(index).ok()?;
        Some((index, (one.interface_name, one.flags)))
    })
    .collect()
}
