//! A plan, raised.

use std::collections::BTreeMap;
use std::net::IpAddr;

use anyhow::{Context, Result, anyhow, ensure};

use super::plan::{Plan, Plug};
use crate::firewall::Rule;
use crate::injector::{Injector, Tap};
use crate::lab::{COLLECTOR, Family};
use crate::namespace::{Namespace, run};
use crate::site::{Point, Site};

/// A network of namespaces.
#[derive(Debug)]
pub struct Standing {
    pub plan: Plan,
    machines: BTreeMap<&'static str, Namespace>,
    /// Holds the wires; injectors stand here.
    switch: Namespace,
    /// Holds the collector.
    management: Namespace,
}

impl Standing {
    /// Raises a plan; the caller must be inside an enclosure.
    pub fn raise(plan: Plan) -> Result<Self> {
        let machines = plan
            .machines()
            .into_iter()
            .map(|name| Ok((name, Namespace::create(name)?)))
            .collect::<Result<_>>()?;
        let standing = Self {
            plan,
            machines,
            switch: Namespace::create("switch")?,
            management: Namespace::create("management")?,
        };
        standing.lay_wires()?;
        standing.connect_management()?;
        for (machine, route) in &standing.plan.routes {
            standing.run(machine, &format!("ip route add {route}"))?;
        }
        for (machine, command) in &standing.plan.commands {
            standing.run(machine, command)?;
        }
        Ok(standing)
    }

    pub fn machine(&self, name: &str) -> Result<&Namespace> {
        self.machines
            .get(name)
            .with_context(|| format!("the network has no machine {name}"))
    }

    /// Runs a program on a machine to its end.
    pub fn run(&self, machine: &str, command: &str) -> Result<()> {
        run_in(self.machine(machine)?, command)
    }

    /// Runs a program where the wires are.
    pub fn run_at_switch(&self, command: &str) -> Result<()> {
        run_in(&self.switch, command)
    }

    /// Adds a rule that lasts as long as its value, written as after `iptables -A`.
    pub fn rule(&self, machine: &str, rule: &str) -> Result<Rule<'_>> {
        Rule::add(self.machine(machine)?, Family::V4, rule)
    }

    /// Listens at a wire's port: what is sent there reaches that machine alone.
    pub fn tap(&self, wire: &str, machine: &str) -> Result<Tap> {
        Tap::open(&self.switch, &port(wire, machine))
    }

    /// An injector on a wire, which reaches the neighbour on either side alone.
    pub fn injector(&self, wire: &str, client_side: &str, server_side: &str) -> Result<Injector> {
        Ok(Injector::between(
            self.tap(wire, client_side)?,
            self.tap(wire, server_side)?,
        ))
    }

    /// The hardware address of a machine's interface.
    pub fn mac(&self, machine: &str, interface: &str) -> Result<[u8; 6]> {
        let file = format!("/sys/class/net/{interface}/address");
        let output = self.machine(machine)?.command("cat").arg(&file).output()?;
        let text = String::from_utf8(output.stdout)?;
        let octets = text.trim().split(':');
        let octets = octets.map(|octet| u8::from_str_radix(octet, 16));
        let octets = octets.collect::<std::result::Result<Vec<_>, _>>()?;
        <[u8; 6]>::try_from(octets).map_err(|_| anyhow!("{file} of {machine} is {text}"))
    }

    /// Where agents and recorders stand.
    pub fn site(&self) -> Result<Site<'_>> {
        let points = self.plan.watches.iter().map(|watch| {
            let addresses = self.plan.addresses(watch.host());
            Ok(Point {
                name: watch.name,
                namespace: self.machine(watch.machine)?,
                interface: watch.interface,
                addresses: addresses
                    .into_iter()
                    .map(IpAddr::V4)
                    .filter(|_| watch.is_host)
                    .collect(),
            })
        });
        Ok(Site {
            management: &self.management,
            points: points.collect::<Result<_>>()?,
        })
    }

    fn lay_wires(&self) -> Result<()> {
        for (wire, plugs) in &self.plan.wires {
            let bridge = ["link", "add", wire, "type", "bridge", "mcast_snooping", "0"];
            self.switch.ip(&bridge)?;
            self.switch.ip(&["link", "set", wire, "up"])?;
            for plug in plugs {
                self.plug(wire, plug)?;
            }
        }
        for (name, machine) in &self.machines {
            let plugs = self.plan.plugs().filter(|plug| plug.machine == *name);
            if plugs.count() > 1 {
                machine.sysctl("net/ipv4/ip_forward", "1")?;
                machine.sysctl("net/ipv4/conf/all/send_redirects", "0")?;
            }
            machine.sysctl("net/ipv4/conf/all/rp_filter", "0")?;
        }
        Ok(())
    }

    fn plug(&self, wire: &str, plug: &Plug) -> Result<()> {
        let machine = self.machine(plug.machine)?;
        let port = port(wire, plug.machine);
        join(machine, plug.interface, &self.switch, &port)?;
        self.switch
            .ip(&["link", "set", &port, "master", wire, "up"])?;
        let address = format!("{}/{}", plug.address, plug.prefix);
        machine.ip(&["addr", "add", &address, "dev", plug.interface])?;
        machine.ip(&["link", "set", plug.interface, "up"])
    }

    /// Joins every machine to the collector by a network that no vantage captures.
    fn connect_management(&self) -> Result<()> {
        let hub = &self.management;
        hub.ip(&["link", "add", "hub", "type", "bridge"])?;
        hub.ip(&["addr", "add", &format!("{COLLECTOR}/24"), "dev", "hub"])?;
        hub.ip(&["link", "set", "hub", "up"])?;
        for (number, machine) in (2..).zip(self.machines.values()) {
            let port = port("to", machine.name());
            join(machine, "mgmt0", hub, &port)?;
            hub.ip(&["link", "set", &port, "master", "hub", "up"])?;
            let address = format!("10.255.0.{number}/24");
            machine.ip(&["addr", "add", &address, "dev", "mgmt0"])?;
            machine.ip(&["link", "set", "mgmt0", "up"])?;
        }
        Ok(())
    }
}

fn port(wire: &str, machine: &str) -> String {
    format!("{wire}-{machine}")
}

/// A cable between two namespaces.
fn join(one: &Namespace, interface: &str, other: &Namespace, port: &str) -> Result<()> {
    let cable = [
        "link",
        "add",
        interface,
        "netns",
        one.name(),
        "type",
        "veth",
        "peer",
        "name",
        port,
        "netns",
        other.name(),
    ];
    run("ip", &cable)
}

fn run_in(namespace: &Namespace, command: &str) -> Result<()> {
    let mut words = command.split_whitespace();
    let program = words.next().context("no command")?;
    let output = namespace
        .command(program)
        .args(words)
        .output()
        .with_context(|| format!("starting {program}"))?;
    ensure!(
        output.status.success(),
        "{command} in {}: {}",
        namespace.name(),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}
