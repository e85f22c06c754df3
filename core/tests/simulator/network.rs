//! Random networks: one line of places from the clients to the servers, and how connections look on it.

use std::net::IpAddr;

use parallax_core::Endpoint;
use parallax_core::report::Side;

use crate::chance::Chance;
use crate::packet::{Heading, View};

/// Which networks are played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Population {
    /// Every vantage sound: no capture loss, true clocks, both directions, hosts at both ends.
    Sound,
    /// Everything that goes wrong in the field.
    Troubled,
}

#[derive(Debug, Clone, Copy)]
pub struct Link {
    /// Nanoseconds.
    pub delay: i64,
    pub jitter: i64,
    /// Share of packets that it loses.
    pub loss: f64,
    /// Share of resets that something there filters.
    pub resets: f64,
}

/// Address translation, as it changes what comes from the client's side.
#[derive(Debug, Clone, Copy)]
pub struct Translator {
    pub source: Option<IpAddr>,
    pub ports: bool,
    /// What clients call to reach what is behind it.
    pub destination: Option<Endpoint>,
}

#[derive(Debug, Clone, Copy)]
pub enum Element {
    Tap(usize),
    Link(Link),
    Router,
    Translator(Translator),
    /// Adds a constant per connection and direction to sequence numbers.
    Rewriter,
    SetTtl(u8),
    /// The interface of the host on that side.
    Offload(Side),
    Box(usize),
    /// Ends connections and begins others.
    Proxy,
}

#[derive(Debug, Clone, Copy)]
pub struct Place {
    pub element: Element,
    /// Only what this side sends comes past.
    pub only: Option<Side>,
    /// Only connections of this branch come past.
    pub branch: Option<u8>,
}

impl Place {
    pub fn carries(&self, sender: Side, branch: u8) -> bool {
        self.only.is_none_or(|only| only == sender) && self.branch.is_none_or(|own| own == branch)
    }
}

/// Whose machine a vantage runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    Nobody,
    Client,
    Server(u8),
    Proxy,
}

pub struct Network {
    pub places: Vec<Place>,
    /// Owner of each vantage.
    pub vantages: Vec<Owner>,
    pub proxy: Option<usize>,
    /// Back ends, or ways of equal cost.
    pub branches: u8,
    pub balanced: bool,
    pub v6: bool,
    pub round_trip: i64,
    pub boxes: usize,
    pub features: Vec<&'static str>,
}

impl Network {
    pub fn address(&self, group: u8, number: u8) -> IpAddr {
        let text = match (group, self.v6) {
            (0, false) => format!("192.0.2.{number}"),
            (1, false) => format!("198.51.100.{number}"),
            (_, false) => format!("203.0.113.{number}"),
            (group, true) => format!("2001:db8:{group:x}::{number:x}"),
        };
        text.parse().expect("an address")
    }

    pub fn client(&self, number: u8) -> IpAddr {
        self.address(0, 10 + number)
    }

    pub fn server(&self, branch: u8) -> IpAddr {
        self.address(1, 20 + branch)
    }

    pub fn proxy_address(&self) -> IpAddr {
        self.address(2, 100)
    }

    /// Whether what a side sends leaves the machine of the tap at a place.
    pub fn heading(&self, place: usize, sender: Side) -> Heading {
        let Element::Tap(vantage) = self.places[place].element else {
            return Heading::In;
        };
        let before_proxy = self.proxy.is_some_and(|proxy| place < proxy);
        let own = match self.vantages[vantage] {
            Owner::Server(_) => Side::Server,
            Owner::Proxy if before_proxy => Side::Server,
            Owner::Client | Owner::Proxy => Side::Client,
            Owner::Nobody => return Heading::In,
        };
        if own == sender {
            Heading::Out
        } else {
            Heading::In
        }
    }

    /// Whether vantages run on both hosts of a connection.
    pub fn hosts_watched(&self, span: (usize, usize), branch: u8) -> bool {
        let owned = |place: usize, owners: &dyn Fn(Owner) -> bool| {
            let here = &self.places[place];
            here.branch.is_none_or(|own| own == branch)
                && matches!(here.element, Element::Tap(vantage) if owners(self.vantages[vantage]))
        };
        let client = owned(span.0, &|owner| {
            matches!(owner, Owner::Client | Owner::Proxy)
        });
        let server = (span.0..=span.1).any(|place| {
            let far = place > span.0;
            far && owned(place, &|owner| {
                matches!(owner, Owner::Server(_) | Owner::Proxy)
            })
        });
        client && server
    }

    pub fn box_place(&self, number: usize) -> Option<usize> {
        self.places
            .iter()
            .position(|place| matches!(place.element, Element::Box(own) if own == number))
    }

    pub fn offloads_at_server(&self, branch: u8) -> bool {
        self.places.iter().any(|place| {
            matches!(place.element, Element::Offload(Side::Server))
                && place.branch.is_none_or(|own| own == branch)
        })
    }

    pub fn translates_destination(&self) -> bool {
        self.places.iter().any(
            |place| matches!(place.element, Element::Translator(to) if to.destination.is_some()),
        )
    }

    /// Where a vantage taps a connection.
    pub fn place_of(&self, vantage: usize, span: (usize, usize)) -> Option<usize> {
        (0..self.places.len())
            .filter(
                |place| matches!(self.places[*place].element, Element::Tap(own) if own == vantage),
            )
            .max_by_key(|place| (span.0..=span.1).contains(place))
    }

    /// How a connection looks at every place. `server` is the host that answers in the end.
    pub fn views(
        &self,
        span: (usize, usize),
        client: Endpoint,
        server: Endpoint,
        chance: &mut Chance,
        fresh_port: u16,
    ) -> Vec<View> {
        let ahead = |from: usize| {
            self.places[from..=span.1]
                .iter()
                .find_map(|place| match place.element {
                    Element::Translator(translator) => translator.destination,
                    _ => None,
                })
                .unwrap_or(server)
        };
        let mut view = View {
            client,
            server: ahead(span.0),
            shift: [0, 0],
        };
        let mut views = Vec::with_capacity(self.places.len());
        let mut server_shift = 0_u32;
        for (index, place) in self.places.iter().enumerate() {
            views.push(view);
            if index < span.0 || index >= span.1 {
                continue;
            }
            match place.element {
                Element::Translator(translator) => {
                    if let Some(addr) = translator.source {
                        view.client.addr = addr;
                        view.client.port = if translator.ports {
                            fresh_port
                        } else {
                            view.client.port
                        };
                    }
                    view.server = ahead(index + 1);
                }
                Element::Rewriter => {
                    let shift = chance.number() as u32;
                    view.shift[0] = view.shift[0].wrapping_add(chance.number() as u32);
                    view.shift[1] = view.shift[1].wrapping_sub(shift);
                    server_shift = server_shift.wrapping_add(shift);
                }
                _ => {}
            }
        }
        // The server's own numbers are those at the server.
        for view in &mut views {
            view.shift[1] = view.shift[1].wrapping_add(server_shift);
        }
        views
    }
}
