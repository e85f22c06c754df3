//! A network on paper: machines on wires, routes, and who watches where.

use std::net::Ipv4Addr;

use anyhow::{Context, Result};
use parallax_core::report::Side;

/// A machine's interface on a wire.
#[derive(Debug, Clone, Copy)]
pub struct Plug {
    pub machine: &'static str,
    pub interface: &'static str,
    pub address: Ipv4Addr,
    /// The length of the network's prefix.
    pub prefix: u8,
}

/// One vantage of a plan.
#[derive(Debug, Clone, Copy)]
pub struct Watch {
    pub name: &'static str,
    pub machine: &'static str,
    pub interface: &'static str,
    pub is_host: bool,
    /// The machine whose host this is, where it is not the one that it stands on.
    pub speaks_for: Option<&'static str>,
    /// `None`: it hears both ends; otherwise only what this end sends.
    pub hears: Option<Side>,
}

impl Watch {
    /// The machine whose addresses it has if it is a host.
    pub fn host(&self) -> &'static str {
        self.speaks_for.unwrap_or(self.machine)
    }
}

/// A network, as it will be raised. A machine with two plugs or more forwards.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// Each wire is a bridge in the switch, with a port `WIRE-MACHINE` for each plug.
    pub wires: Vec<(&'static str, Vec<Plug>)>,
    /// A machine, and a route of it.
    pub routes: Vec<(&'static str, &'static str)>,
    /// What configures the machines: a machine, a program, its arguments.
    pub commands: Vec<(&'static str, &'static str)>,
    /// Client side first.
    pub watches: Vec<Watch>,
    /// The neighbouring vantages between which addresses change.
    pub names_change: Option<[&'static str; 2]>,
    /// The neighbouring vantages between which sequence numbers change.
    pub numbers_change: Option<[&'static str; 2]>,
}

impl Plan {
    /// client – gateway – firewall – server, with a vantage on every interface.
    ///
    /// ```text
    ///  client ──near── gateway ──middle── firewall ──far── server
    ///     10.1.0.2   .1     10.2.0.1   .2       10.3.0.1   .2
    /// ```
    pub fn straight() -> Result<Self> {
        Self::default()
            .wire(
                "near",
                &["client eth0 10.1.0.2/24", "gateway in0 10.1.0.1/24"],
            )?
            .wire(
                "middle",
                &["gateway out0 10.2.0.1/24", "firewall in0 10.2.0.2/24"],
            )?
            .wire(
                "far",
                &["firewall out0 10.3.0.1/24", "server eth0 10.3.0.2/24"],
            )?
            .route("client", "default via 10.1.0.1")
            .route("gateway", "10.3.0.0/24 via 10.2.0.2")
            .route("firewall", "10.1.0.0/24 via 10.2.0.1")
            .route("server", "default via 10.3.0.1")
            .host("client", "client eth0")?
            .hop("gw-in", "gateway in0")?
            .hop("gw-out", "gateway out0")?
            .hop("fw-in", "firewall in0")?
            .hop("fw-out", "firewall out0")?
            .host("server", "server eth0")
    }

    /// Joins plugs, each written `machine interface address/prefix`.
    pub fn wire(mut self, name: &'static str, plugs: &[&'static str]) -> Result<Self> {
        let plugs = plugs.iter().map(|plug| read_plug(plug));
        self.wires.push((name, plugs.collect::<Result<_>>()?));
        Ok(self)
    }

    /// A command, written `program arguments …`, for a machine.
    #[must_use]
    pub fn run(mut self, machine: &'static str, command: &'static str) -> Self {
        self.commands.push((machine, command));
        self
    }

    /// A route of a machine, written `destination via address`.
    #[must_use]
    pub fn route(mut self, machine: &'static str, route: &'static str) -> Self {
        self.routes.push((machine, route));
        self
    }

    /// A vantage on an end's own machine, at `machine interface`.
    pub fn host(self, name: &'static str, place: &'static str) -> Result<Self> {
        self.watch(name, place, true, None)
    }

    /// A vantage on the machine that runs another as its container, at `machine interface`.
    pub fn host_of(
        self,
        name: &'static str,
        place: &'static str,
        container: &'static str,
    ) -> Result<Self> {
        let mut plan = self.watch(name, place, true, None)?;
        if let Some(watch) = plan.watches.last_mut() {
            watch.speaks_for = Some(container);
        }
        Ok(plan)
    }

    /// A vantage that only sees traffic pass, at `machine interface`.
    pub fn hop(self, name: &'static str, place: &'static str) -> Result<Self> {
        self.watch(name, place, false, None)
    }

    /// A hop that only what one end sends passes.
    pub fn one_way(self, name: &'static str, place: &'static str, from: Side) -> Result<Self> {
        self.watch(name, place, false, Some(from))
    }

    fn watch(
        mut self,
        name: &'static str,
        place: &'static str,
        is_host: bool,
        hears: Option<Side>,
    ) -> Result<Self> {
        let (machine, interface) = place
            .split_once(' ')
            .with_context(|| format!("{place} is no place"))?;
        self.watches.push(Watch {
            name,
            machine,
            interface,
            is_host,
            speaks_for: None,
            hears,
        });
        Ok(self)
    }

    /// Says between which vantages addresses are translated.
    #[must_use]
    pub fn names_change(mut self, before: &'static str, after: &'static str) -> Self {
        self.names_change = Some([before, after]);
        self
    }

    /// Says between which vantages sequence numbers are rewritten.
    #[must_use]
    pub fn numbers_change(mut self, before: &'static str, after: &'static str) -> Self {
        self.numbers_change = Some([before, after]);
        self
    }

    pub fn plugs(&self) -> impl Iterator<Item = &Plug> {
        self.wires.iter().flat_map(|(_, plugs)| plugs)
    }

    /// Every machine once.
    pub fn machines(&self) -> Vec<&'static str> {
        let mut machines: Vec<_> = self.plugs().map(|plug| plug.machine).collect();
        machines.sort_unstable();
        machines.dedup();
        machines
    }

    /// The addresses of a machine.
    pub fn addresses(&self, machine: &str) -> Vec<Ipv4Addr> {
        self.plugs()
            .filter(|plug| plug.machine == machine)
            .map(|plug| plug.address)
            .collect()
    }

    /// The vantages that a connection between two machines passes, client side first: all but
    /// those on other ends.
    pub fn path(&self, client: &str, server: &str) -> Vec<&'static str> {
        self.watches
            .iter()
            .filter(|watch| !watch.is_host || [client, server].contains(&watch.host()))
            .map(|watch| watch.name)
            .collect()
    }
}

fn read_plug(text: &'static str) -> Result<Plug> {
    let wrong = || format!("{text} is no plug");
    let mut words = text.split(' ');
    let mut next = || words.next().with_context(wrong);
    let (machine, interface) = (next()?, next()?);
    let (address, prefix) = next()?.split_once('/').with_context(wrong)?;
    Ok(Plug {
        machine,
        interface,
        address: address.parse().with_context(wrong)?,
        prefix: prefix.parse().with_context(wrong)?,
    })
}
