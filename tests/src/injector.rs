//! The injector: listens on a wire and forges segments in the name of its endpoints.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use parallax_core::report::Side;
use pcap::{Active, Capture};

use crate::lab::{Lab, Wire};
use crate::namespace::Namespace;
use crate::recorder;
use crate::segment::Segment;

/// A raw socket on one interface, for listening and sending.
pub struct Tap {
    capture: Capture<Active>,
    /// The furthest segment from one socket to another, with its number: no retransmission or
    /// probe.
    newest: HashMap<(SocketAddr, SocketAddr), (u64, Segment)>,
    heard: u64,
}

impl Tap {
    pub fn open(namespace: &Namespace, interface: &str) -> Result<Self> {
        let capture = recorder::open(namespace, interface)?;
        Ok(Self {
            capture,
            newest: HashMap::new(),
            heard: 0,
        })
    }

    /// Puts a segment on the wire.
    pub fn send(&mut self, segment: &Segment) -> Result<()> {
        self.capture
            .sendpacket(segment.frame()?)
            .context("sending a forged frame")
    }

    /// The newest segment of each direction at a server's port since the tap was opened. Waits a
    /// moment until there is one of each.
    pub fn conversation(&mut self, server_port: u16) -> Result<Conversation> {
        self.find(|(_, to)| to.port() == server_port)
            .with_context(|| format!("the injector heard no conversation at port {server_port}"))
    }

    /// The newest segment of each direction between two sockets, named as on this wire.
    pub fn conversation_of(
        &mut self,
        client: SocketAddr,
        server: SocketAddr,
    ) -> Result<Conversation> {
        self.find(|way| way == (client, server))
            .with_context(|| format!("the injector heard nothing of {client} to {server}"))
    }

    /// Waits a moment until there is a segment each way, the client's way being such a one.
    fn find(&mut self, is: impl Fn((SocketAddr, SocketAddr)) -> bool) -> Option<Conversation> {
        patiently(|| self.find_now(&is))
    }

    fn find_now(&mut self, is: impl Fn((SocketAddr, SocketAddr)) -> bool) -> Option<Conversation> {
        self.hear();
        self.newest
            .iter()
            .filter(|(way, _)| is(**way))
            .filter_map(|((from, to), (number, segment))| {
                let (_, back) = self.newest.get(&(*to, *from))?;
                Some((number, segment, back))
            })
            .max_by_key(|(number, ..)| *number)
            .map(|(_, from_client, from_server)| Conversation {
                from_client: from_client.clone(),
                from_server: from_server.clone(),
            })
    }

    fn hear(&mut self) {
        while let Ok(packet) = self.capture.next_packet() {
            let segment = Segment::read(packet.data).filter(|segment| !segment.tcp.rst);
            if let Some(segment) = segment {
                self.heard += 1;
                let way = (segment.source_socket(), segment.destination_socket());
                let known = self.newest.get(&way);
                if known.is_none_or(|(_, known)| !segment.is_behind(known)) {
                    self.newest.insert(way, (self.heard, segment));
                }
            }
        }
    }
}

/// Asks again and again for a second.
fn patiently<T>(mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    for _ in 0..100 {
        let answer = ask();
        if answer.is_some() {
            return answer;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    None
}

/// An injector in the switch, on one wire: it reaches either neighbour alone.
pub struct Injector {
    client_side: Tap,
    server_side: Tap,
}

impl Injector {
    pub fn on(lab: &Lab, wire: Wire) -> Result<Self> {
        Ok(Self {
            client_side: Tap::open(&lab.switch, &wire.port(Side::Client))?,
            server_side: Tap::open(&lab.switch, &wire.port(Side::Server))?,
        })
    }

    /// An injector at two ports of one wire.
    pub fn between(client_side: Tap, server_side: Tap) -> Self {
        Self {
            client_side,
            server_side,
        }
    }

    /// See [`Tap::conversation_of`]; either port may be the one that hears it.
    pub fn conversation_of(
        &mut self,
        client: SocketAddr,
        server: SocketAddr,
    ) -> Result<Conversation> {
        let is = |way| way == (client, server);
        // One port alone may hear one direction alone.
        patiently(|| {
            let heard = self.client_side.find_now(is);
            heard.or_else(|| self.server_side.find_now(is))
        })
        .with_context(|| format!("the injector heard nothing of {client} to {server}"))
    }

    /// See [`Tap::conversation`].
    pub fn conversation(&mut self, server_port: u16) -> Result<Conversation> {
        self.client_side.conversation(server_port)
    }

    /// Sends a segment out of the port towards an end.
    pub fn send(&mut self, towards: Side, segment: &Segment) -> Result<()> {
        match towards {
            Side::Client => self.client_side.send(segment),
            Side::Server => self.server_side.send(segment),
        }
    }
}

/// The newest segment of each direction of a connection.
#[derive(Debug, Clone)]
pub struct Conversation {
    pub from_client: Segment,
    pub from_server: Segment,
}

/// What an injector puts where it does not copy.
const OWN_TTL: u8 = 128;

impl Conversation {
    fn newest(&self, from: Side) -> &Segment {
        match from {
            Side::Client => &self.from_client,
            Side::Server => &self.from_server,
        }
    }

    /// A bare RST in the name of `from` that its peer must accept, with the injector's own TTL, IP
    /// ID and window.
    pub fn forge(&self, from: Side) -> Segment {
        let mut forged = self.forge_alike(from);
        forged.ttl = OWN_TTL;
        forged.ip_id = 0x7a69;
        forged.tcp.window_size = 0;
        forged.tcp.ack = false;
        forged.tcp.acknowledgment_number = 0;
        forged
    }

    /// A RST+ACK in the name of `from` that copies whatever its real segments show here: TTL, the
    /// next IP ID, window, acknowledgement.
    pub fn forge_alike(&self, from: Side) -> Segment {
        let real = self.newest(from);
        let mut forged = real.clone();
        forged.payload_length = 0;
        forged.ip_id = real.ip_id.wrapping_add(1);
        forged.tcp.sequence_number = real.next_sequence();
        forged.tcp.acknowledgment_number = self.newest(from.other()).next_sequence();
        forged.tcp.rst = true;
        forged.tcp.ack = true;
        forged.tcp.psh = false;
        forged.tcp.syn = false;
        forged.tcp.fin = false;
        forged.tcp.options = etherparse::TcpOptions::default();
        forged
    }
}
