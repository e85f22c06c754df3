//! Several sockets on one interface that share its packets: packet(7), `PACKET_FANOUT`.
//!
//! The kernel chooses by a hash of addresses and ports that is the same for both directions of a
//! connection (`__skb_get_hash_symmetric`, since Linux 4.8), through IP in IP and GRE. It does not look into
//! tunnels over UDP, whose ports may differ from one direction to the other, nor for ports in fragments, and
//! older kernels stop at an IPv6 flow label. There the directions of a connection may part: then what one
//! socket's memory lacks is in another's, and recall brings it.

use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::sockopt::{GetStruct, SetStruct};
use nix::sys::socket::{getsockopt, setsockopt};

/// `PACKET_FANOUT_FLAG_UNIQUEID`: the kernel chooses a number that is free in the network namespace (since 4.12).
const UNIQUE: u32 = libc::PACKET_FANOUT_FLAG_UNIQUEID << 16;

/// The option's value: a group's number in the lower half, its kind and flags in the upper one.
#[derive(Debug, Clone, Copy)]
struct Fanout;

nix::setsockopt_impl!(
    Fanout,
    libc::SOL_PACKET,
    libc::PACKET_FANOUT,
    u32,
    SetStruct<'_, u32>
);
nix::getsockopt_impl!(
    Fanout,
    libc::SOL_PACKET,
    libc::PACKET_FANOUT,
    u32,
    GetStruct<u32>
);

/// A group of sockets, all of one interface.
#[derive(Debug, Clone, Copy)]
pub(super) struct Group(u16);

impl Group {
    /// A new group with this socket in it.
    pub fn found(socket: &impl AsFd) -> Result<Self, Errno> {
        setsockopt(socket, Fanout, &(UNIQUE | hash(0)))?;
        Ok(Self(getsockopt(socket, Fanout)? as u16))
    }

    /// One more socket takes its share of what the interface brings from now on.
    pub fn join(self, socket: &impl AsFd) -> Result<(), Errno> {
        setsockopt(socket, Fanout, &hash(self.0))
    }
}

fn hash(group: u16) -> u32 {
    libc::PACKET_FANOUT_HASH << 16 | u32::from(group)
}
