//! How a random network is put together, from the client's end on.

use parallax_core::Endpoint;
use parallax_core::report::Side;
use parallax_core::time::MILLISECOND;

use crate::chance::Chance;
use crate::network::{Element, Link, Network, Owner, Place, Population, Translator};

/// Puts a network together.
pub struct Builder<'a> {
    chance: &'a mut Chance,
    population: Population,
    network: Network,
    /// One-way delay still to be shared out, nanoseconds.
    delay: i64,
}

fn plain(element: Element) -> Place {
    Place {
        element,
        only: None,
        branch: None,
    }
}

pub fn build(chance: &mut Chance, population: Population) -> Network {
    // 0.1 to 200 ms, each order of magnitude alike.
    let round_trip = (0.1 * 10_f64.powf(3.3 * chance.share()) * MILLISECOND as f64) as i64;
    let v6 = chance.percent(25);
    let network = Network {
        places: Vec::new(),
        vantages: Vec::new(),
        proxy: None,
        branches: 1,
        balanced: false,
        v6,
        round_trip,
        boxes: 0,
        features: Vec::new(),
    };
    let mut builder = Builder {
        chance,
        population,
        network,
        delay: round_trip / 2,
    };
    builder.line();
    builder.network
}

impl Builder<'_> {
    fn sound(&self) -> bool {
        self.population == Population::Sound
    }

    fn feature(&mut self, name: &'static str, share: u64) -> bool {
        let has = self.chance.percent(share);
        if has {
            self.network.features.push(name);
        }
        has
    }

    fn push(&mut self, element: Element) {
        self.network.places.push(plain(element));
    }

    fn tap(&mut self, owner: Owner) -> Element {
        self.network.vantages.push(owner);
        Element::Tap(self.network.vantages.len() - 1)
    }

    fn line(&mut self) {
        let client_host = self.sound() || self.chance.percent(60);
        let server_host = self.sound() || self.chance.percent(60);
        let hosts = usize::from(client_host) + usize::from(server_host);
        let middle = (2 + self.chance.below(7) as usize).saturating_sub(hosts);
        if client_host {
            let tap = self.tap(Owner::Client);
            self.push(tap);
        }
        let offload = self.feature("offload at the client", 40);
        if offload {
            self.push(Element::Offload(Side::Client));
        }
        let from = self.network.places.len();
        self.middle(middle);
        self.extras(from);
        self.servers(server_host);
        if hosts < 2 {
            let missing = if hosts == 0 {
                "no host vantage"
            } else {
                "one host vantage"
            };
            self.network.features.push(missing);
        }
        if self.network.v6 {
            self.network.features.push("IPv6");
        }
    }

    fn middle(&mut self, taps: usize) {
        // A vantage in each direction takes the place of one in both.
        let apart = taps > 0 && taps < 7 && !self.sound() && self.feature("asymmetric routing", 8);
        let split = if apart {
            self.chance.below(taps as u64) as usize
        } else {
            usize::MAX
        };
        for index in 0..=taps {
            let link = self.link(taps + 1 - index);
            self.push(link);
            for _ in 0..self.chance.below(3) {
                self.push(Element::Router);
            }
            if index == split {
                self.tap_apart();
            } else if index < taps {
                let tap = self.tap(Owner::Nobody);
                self.push(tap);
                self.route_partly();
            }
        }
    }

    /// Asymmetric routing: what each side sends comes past a vantage of its own.
    fn tap_apart(&mut self) {
        for side in [Side::Client, Side::Server] {
            let tap = self.tap(Owner::Nobody);
            self.push(tap);
            if let Some(last) = self.network.places.last_mut() {
                last.only = Some(side);
            }
        }
    }

    /// The last tap may see part of the traffic only.
    fn route_partly(&mut self) {
        if self.sound() {
            return;
        }
        let one_way = self.feature("one-way", 7);
        let side = self.chance.pick(&[Side::Client, Side::Server]);
        let parted = self.feature("ECMP", 4);
        if let Some(last) = self.network.places.last_mut() {
            last.only = one_way.then_some(side);
            last.branch = parted.then_some(0);
        }
        if parted {
            self.network.branches = 2;
        }
    }

    fn link(&mut self, remaining: usize) -> Element {
        let delay = if remaining <= 1 {
            self.delay
        } else {
            let fair = 2 * self.delay / remaining as i64;
            self.chance.between(0, fair.max(1))
        };
        self.delay -= delay.min(self.delay);
        let jitter = delay / self.chance.pick(&[1_000_000, 50, 20, 5]);
        let loss = if self.chance.percent(20) {
            self.chance.share() * 0.03
        } else {
            0.0
        };
        if loss > 0.0 && !self.network.features.contains(&"network loss") {
            self.network.features.push("network loss");
        }
        let filters = self.feature("resets filtered", 2);
        Element::Link(Link {
            delay: delay + 2000,
            jitter,
            loss,
            resets: if filters { 0.5 } else { 0.0 },
        })
    }

    /// Boxes and translators between the hosts.
    fn extras(&mut self, from: usize) {
        if self.feature("proxy", 10) {
            self.proxy(from);
        }
        if self.feature("source NAT", 30) {
            let translator = Translator {
                source: Some(self.network.address(2, 1)),
                ports: self.chance.percent(70),
                destination: None,
            };
            self.insert(from, Element::Translator(translator));
        }
        if self.network.features.contains(&"source NAT") && self.feature("NAT behind NAT", 15) {
            let translator = Translator {
                source: Some(self.network.address(2, 2)),
                ports: true,
                destination: None,
            };
            self.insert(from, Element::Translator(translator));
        }
        let renamed = self.network.features.contains(&"source NAT");
        let knowable = !renamed || self.population != Population::Sound;
        if knowable && self.feature("rewriter", 15) {
            self.insert(from, Element::Rewriter);
        }
        if self.feature("TTL set on the way", 6) {
            let ttl = self.chance.pick(&[64, 128, 255]);
            self.insert(from, Element::SetTtl(ttl));
        }
        for _ in 0..=u64::from(self.chance.percent(25)) {
            self.network.boxes += 1;
            let number = self.network.boxes - 1;
            self.insert(from, Element::Box(number));
        }
        self.network.proxy = self
            .network
            .places
            .iter()
            .position(|place| matches!(place.element, Element::Proxy));
    }

    fn insert(&mut self, from: usize, element: Element) -> usize {
        let free = self.network.places.len() - from + 1;
        let at = from + self.chance.below(free as u64) as usize;
        // Never between a proxy and its own taps.
        let proxied = |place: Option<&Place>| {
            place.is_some_and(|place| matches!(place.element, Element::Proxy))
        };
        let places = &self.network.places;
        let at = if proxied(places.get(at)) && at > 0 {
            at - 1
        } else if at > 0 && proxied(places.get(at - 1)) {
            at + 1
        } else {
            at
        };
        let at = at.min(places.len());
        self.network.places.insert(at, plain(element));
        at
    }

    fn proxy(&mut self, from: usize) {
        let at = self.insert(from, Element::Proxy);
        if self.sound() || self.chance.percent(30) {
            let tap = self.tap(Owner::Proxy);
            self.network.places.insert(at + 1, plain(tap));
            self.network.places.insert(at, plain(tap));
        } else {
            // Something on either side for neighbours to be put before or behind.
            self.network.places.insert(at + 1, plain(Element::Router));
            self.network.places.insert(at, plain(Element::Router));
        }
    }

    fn servers(&mut self, host: bool) {
        // Where names and numbers change, nothing is left to know a connection without payload by.
        let renumbered = self.network.features.contains(&"rewriter");
        let knowable = !renumbered || self.population != Population::Sound;
        let balanced = knowable && self.network.branches == 1 && self.feature("load balancer", 15);
        let translated = balanced || (knowable && self.feature("destination NAT", 12));
        if translated {
            let vip = Endpoint::new(self.network.address(2, 80), 443);
            self.push(Element::Translator(Translator {
                source: None,
                ports: false,
                destination: Some(vip),
            }));
            let link = self.link(1);
            self.push(link);
        }
        if balanced {
            self.network.balanced = true;
            self.network.branches = 2 + self.chance.below(2) as u8;
        }
        let ends = if balanced { self.network.branches } else { 1 };
        for branch in 0..ends {
            let from = self.network.places.len();
            if self.feature("offload at the server", 40) {
                self.push(Element::Offload(Side::Server));
            }
            if host {
                let tap = self.tap(Owner::Server(branch));
                self.push(tap);
            }
            for place in &mut self.network.places[from..] {
                place.branch = balanced.then_some(branch);
            }
        }
    }
}
