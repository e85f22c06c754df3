//! Rights, interfaces, what a network card joins and splits, and installed programs.

use std::process::Command;

use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::net::if_::{InterfaceFlags, if_nametoindex};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

use super::Check;

/// Whether this process may capture.
pub fn rights() -> Check {
    let what = "right to capture";
    let none = SockFlag::empty();
    match socket(AddressFamily::Packet, SockType::Raw, none, None) {
        Ok(_) => Check::fine(what, "a packet socket can be opened"),
        Err(Errno::EPERM | Errno::EACCES) => Check::wrong(
            what,
            "this user may not open packet sockets (CAP_NET_RAW)",
            "run as root, or: setcap cap_net_raw,cap_net_admin=ep $(command -v parallax-agent)",
        ),
        Err(error) => Check::wrong(
            what,
            format!("a packet socket cannot be opened: {error}"),
            "look for a kernel without CONFIG_PACKET, or a seccomp profile that forbids it",
        ),
    }
}

/// Whether the capture library works at all.
pub fn library() -> Check {
    match parallax_agent::capture::live::devices() {
        Ok(names) if names.is_empty() => Check::warning(
            "capture library",
            "it shows no interface to this user",
            "run as the agent's user, or as root",
        ),
        Ok(names) => Check::fine("capture library", format!("it shows {}", names.join(", "))),
        Err(error) => Check::wrong(
            "capture library",
            error,
            "install libpcap (Debian: apt install libpcap0.8)",
        ),
    }
}

/// An interface that is to be captured on.
pub fn interface(name: &str) -> Vec<Check> {
    let what = format!("interface {name}");
    if name == "any" {
        return vec![Check::fine(what, "all interfaces")];
    }
    if if_nametoindex(name).is_err() {
        return vec![Check::wrong(
            what,
            "there is none of this name",
            format!(
                "there are {}; name one with --interface",
                names().join(", ")
            ),
        )];
    }
    let flags = flags(name);
    if !flags.contains(InterfaceFlags::IFF_UP) {
        return vec![Check::wrong(
            what,
            "it is down",
            format!("ip link set {name} up"),
        )];
    }
    let state = if flags.contains(InterfaceFlags::IFF_RUNNING) {
        Check::fine(what, "up")
    } else {
        Check::warning(
            what,
            "up, but without a carrier",
            "look at the cable, or at its other end",
        )
    };
    vec![state, offload(name)]
}

fn flags(name: &str) -> InterfaceFlags {
    let found = getifaddrs().ok().into_iter().flatten();
    let mut own = found.filter(|address| address.interface_name == name);
    own.next()
        .map_or_else(InterfaceFlags::empty, |address| address.flags)
}

fn names() -> Vec<String> {
    let found = getifaddrs().ok().into_iter().flatten();
    let mut names: Vec<String> = found.map(|address| address.interface_name).collect();
    names.sort();
    names.dedup();
    names
}

/// What the card joins and splits, as `ethtool -k` tells it.
fn offload(name: &str) -> Check {
    let what = format!("offload of {name}");
    let Ok(answer) = Command::new("ethtool").args(["-k", name]).output() else {
        return Check::fine(
            what,
            "not known, for want of ethtool; joined segments are matched by their octets",
        );
    };
    let told = String::from_utf8_lossy(&answer.stdout);
    let on = |feature: &str| {
        told.lines()
            .filter_map(|line| line.trim().split_once(": "))
            .any(|(named, state)| named == feature && state.starts_with("on"))
    };
    if on("large-receive-offload") {
        return Check::warning(
            what,
            "LRO joins received segments, their headers are made up anew",
            format!("ethtool -K {name} lro off (GRO may stay on)"),
        );
    }
    let joins: Vec<&str> = [
        ("generic-receive-offload", "GRO"),
        ("tcp-segmentation-offload", "TSO"),
    ]
    .into_iter()
    .filter(|(feature, _)| on(feature))
    .map(|(_, short)| short)
    .collect();
    if joins.is_empty() {
        return Check::fine(what, "segments are as on the wire");
    }
    let found = format!(
        "{}: segments here are larger than on the wire; they are matched by their octets",
        joins.join(" and ")
    );
    Check::fine(what, found)
}

/// Whether the collector finds a Postgres to run by itself.
pub fn postgres() -> Check {
    let what = "PostgreSQL to run";
    let installed = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let mut versions: Vec<u32> = installed
        .filter(|version| version.path().join("bin/initdb").exists())
        .filter_map(|version| version.file_name().to_str()?.parse().ok())
        .collect();
    versions.sort_unstable();
    let in_path = || {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|folder| folder.join("initdb").exists())
    };
    match versions.last() {
        Some(version) if *version >= 14 => Check::fine(what, format!("version {version}")),
        None if in_path() => Check::fine(what, "initdb is where PATH leads"),
        Some(version) => Check::wrong(
            what,
            format!("version {version} is too old"),
            "install PostgreSQL 14 or later",
        ),
        None => Check::warning(
            what,
            "none is installed; the collector downloads one at its first start",
            "apt install postgresql, where it cannot download, or give --database-url",
        ),
    }
}
