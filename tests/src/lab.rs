//! The network: client – gateway – firewall – server, with a switch on every wire.
//!
//! ```text
//!  client ──near── gateway ──middle── firewall ──far── server
//!       client   gw-in gw-out      fw-in  fw-out   server        (vantages)
//! ```
//!
//! `near`, `middle` and `far` are bridges in a namespace of their own, where an injector can stand
//! at any port: what it sends out of a port is seen by the neighbour on that side and by nobody
//! else. A management network, which no vantage captures, joins everyone to the collector.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::Result;
use parallax_core::report::Side;

use crate::namespace::{Namespace, run};
use crate::site::{Point, Site};

/// The internet protocol of a scenario's run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    V4,
    V6,
}

impl Family {
    pub const ALL: [Self; 2] = [Self::V4, Self::V6];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V4 => "v4",
            Self::V6 => "v6",
        }
    }
}

/// One interface that an agent watches.
#[derive(Debug, Clone, Copy)]
pub struct VantagePoint {
    pub name: &'static str,
    pub namespace: &'static str,
    pub interface: &'static str,
    /// The end of the connections whose host this is; `None`: a hop.
    pub host_of: Option<Side>,
}

/// Every vantage, client side first.
pub const VANTAGES: [VantagePoint; 6] = [
    vantage("client", "client", "eth0", Some(Side::Client)),
    vantage("gw-in", "gateway", "in0", None),
    vantage("gw-out", "gateway", "out0", None),
    vantage("fw-in", "firewall", "in0", None),
    vantage("fw-out", "firewall", "out0", None),
    vantage("server", "server", "eth0", Some(Side::Server)),
];

const fn vantage(
    name: &'static str,
    namespace: &'static str,
    interface: &'static str,
    host_of: Option<Side>,
) -> VantagePoint {
    VantagePoint {
        name,
        namespace,
        interface,
        host_of,
    }
}

/// The names of all vantages, client side first.
pub fn path() -> Vec<&'static str> {
    VANTAGES.iter().map(|vantage| vantage.name).collect()
}

/// The addresses of an end of the connections.
pub fn addresses(side: Side) -> [IpAddr; 2] {
    [Family::V4, Family::V6].map(|family| address(side, family))
}

/// The address of an end of the connections.
pub fn address(side: Side, family: Family) -> IpAddr {
    let net = match side {
        Side::Client => 1,
        Side::Server => 3,
    };
    match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::new(10, net, 0, 2)),
        Family::V6 => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, u16::from(net), 0, 0, 0, 0, 2)),
    }
}

/// Where the collector listens on the management network.
pub const COLLECTOR: Ipv4Addr = Ipv4Addr::new(10, 255, 0, 1);

/// One of the three wires, as the switch's bridges name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// client – gateway
    Near,
    /// gateway – firewall
    Middle,
    /// firewall – server
    Far,
}

impl Wire {
    const fn bridge(self) -> &'static str {
        match self {
            Self::Near => "near",
            Self::Middle => "middle",
            Self::Far => "far",
        }
    }

    /// The switch's port that leads towards an end.
    pub fn port(self, towards: Side) -> String {
        format!("{}-{}", self.bridge(), towards.as_str())
    }
}

/// The standing network.
#[derive(Debug)]
pub struct Lab {
    pub client: Namespace,
    pub gateway: Namespace,
    pub firewall: Namespace,
    pub server: Namespace,
    /// Holds the bridges; injectors stand here.
    pub switch: Namespace,
    /// Holds the collector.
    pub management: Namespace,
}

impl Lab {
    /// Raises the network; the caller must be inside an enclosure.
    pub fn raise() -> Result<Self> {
        let lab = Self {
            client: Namespace::create("client")?,
            gateway: Namespace::create("gateway")?,
            firewall: Namespace::create("firewall")?,
            server: Namespace::create("server")?,
            switch: Namespace::create("switch")?,
            management: Namespace::create("management")?,
        };
        lab.lay_wires()?;
        lab.route()?;
        lab.connect_management()?;
        Ok(lab)
    }

    /// The namespace of a name in [`VANTAGES`].
    ///
    /// # Panics
    ///
    /// When the lab has no such namespace.
    pub fn namespace(&self, name: &str) -> &Namespace {
        self.machines()
            .into_iter()
            .find(|namespace| namespace.name() == name)
            .unwrap_or_else(|| panic!("no namespace {name} in the lab"))
    }

    /// Where agents and recorders stand.
    pub fn site(&self) -> Site<'_> {
        let points = VANTAGES.iter().map(|vantage| Point {
            name: vantage.name,
            namespace: self.namespace(vantage.namespace),
            interface: vantage.interface,
            addresses: vantage
                .host_of
                .map(addresses)
                .map_or_else(Vec::new, Vec::from),
        });
        Site {
            management: &self.management,
            points: points.collect(),
        }
    }

    /// The namespace of an end.
    pub fn host(&self, side: Side) -> &Namespace {
        match side {
            Side::Client => &self.client,
            Side::Server => &self.server,
        }
    }

    /// The address of a machine on the management network, which [`Self::connect_management`] gave it.
    ///
    /// # Panics
    ///
    /// When the lab has no such machine.
    pub fn management_address(&self, name: &str) -> Ipv4Addr {
        let machines = self.machines();
        let number = machines.iter().position(|machine| machine.name() == name);
        let number = number.unwrap_or_else(|| panic!("no machine {name} in the lab"));
        Ipv4Addr::new(10, 255, 0, number as u8 + 2)
    }

    fn machines(&self) -> [&Namespace; 4] {
        [&self.client, &self.gateway, &self.firewall, &self.server]
    }

    fn lay_wires(&self) -> Result<()> {
        for wire in [Wire::Near, Wire::Middle, Wire::Far] {
            let bridge = wire.bridge();
            self.switch.ip(&[
                "link",
                "add",
                bridge,
                "type",
                "bridge",
                "mcast_snooping",
                "0",
            ])?;
            self.switch.ip(&["link", "set", bridge, "up"])?;
        }
        self.plug(&self.client, "eth0", 1, 2, Wire::Near, Side::Client)?;
        self.plug(&self.gateway, "in0", 1, 1, Wire::Near, Side::Server)?;
        self.plug(&self.gateway, "out0", 2, 1, Wire::Middle, Side::Client)?;
        self.plug(&self.firewall, "in0", 2, 2, Wire::Middle, Side::Server)?;
        self.plug(&self.firewall, "out0", 3, 1, Wire::Far, Side::Client)?;
        self.plug(&self.server, "eth0", 3, 2, Wire::Far, Side::Server)
    }

    /// Gives a machine an interface with addresses, plugged into the switch.
    fn plug(
        &self,
        machine: &Namespace,
        interface: &str,
        net: u8,
        host: u8,
        wire: Wire,
        end: Side,
    ) -> Result<()> {
        let port = wire.port(end);
        let name = machine.name();
        run(
            "ip",
            &[
                "link", "add", interface, "netns", name, "type", "veth", "peer", "name", &port,
                "netns", "switch",
            ],
        )?;
        self.switch
            .ip(&["link", "set", &port, "master", wire.bridge(), "up"])?;
        let v4 = format!("10.{net}.0.{host}/24");
        let v6 = format!("2001:db8:{net}::{host}/64");
        machine.ip(&["addr", "add", &v4, "dev", interface])?;
        machine.ip(&["addr", "add", &v6, "dev", interface, "nodad"])?;
        machine.ip(&["link", "set", interface, "up"])
    }

    fn route(&self) -> Result<()> {
        for router in [&self.gateway, &self.firewall] {
            router.sysctl("net/ipv4/ip_forward", "1")?;
            router.sysctl("net/ipv6/conf/all/forwarding", "1")?;
        }
        for (machine, to, via) in [(&self.client, "default", 1), (&self.server, "default", 3)] {
            machine.ip(&["route", "add", to, "via", &format!("10.{via}.0.1")])?;
            machine.ip(&[
                "-6",
                "route",
                "add",
                to,
                "via",
                &format!("2001:db8:{via}::1"),
            ])?;
        }
        self.gateway
            .ip(&["route", "add", "10.3.0.0/24", "via", "10.2.0.2"])?;
        self.gateway.ip(&[
            "-6",
            "route",
            "add",
            "2001:db8:3::/64",
            "via",
            "2001:db8:2::2",
        ])?;
        self.firewall
            .ip(&["route", "add", "10.1.0.0/24", "via", "10.2.0.1"])?;
        self.firewall.ip(&[
            "-6",
            "route",
            "add",
            "2001:db8:1::/64",
            "via",
            "2001:db8:2::1",
        ])
    }

    fn connect_management(&self) -> Result<()> {
        let hub = &self.management;
        hub.ip(&["link", "add", "hub", "type", "bridge"])?;
        hub.ip(&["addr", "add", &format!("{COLLECTOR}/24"), "dev", "hub"])?;
        hub.ip(&["link", "set", "hub", "up"])?;
        for (number, machine) in (2..).zip(self.machines()) {
            let port = format!("to-{}", machine.name());
            run(
                "ip",
                &[
                    "link",
                    "add",
                    "mgmt0",
                    "netns",
                    machine.name(),
                    "type",
                    "veth",
                    "peer",
                    "name",
                    &port,
                    "netns",
                    hub.name(),
                ],
            )?;
            hub.ip(&["link", "set", &port, "master", "hub", "up"])?;
            machine.ip(&[
                "addr",
                "add",
                &format!("10.255.0.{number}/24"),
                "dev",
                "mgmt0",
            ])?;
            machine.ip(&["link", "set", "mgmt0", "up"])?;
        }
        Ok(())
    }
}
