//! Whether this kernel is the host: its silence about another machine's resets says nothing.

use std::collections::HashSet;
use std::fs::{self, File};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use nix::sched::{CloneFlags, setns};
use parallax_core::testimony::TapPlace;

/// Where the host's addresses were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// Not all of them are in this kernel's network namespaces, as far as they can be seen.
    Missing,
    All(TapPlace),
}

/// Network namespaces by name, as ip-netns(8) keeps them.
const NAMED: &str = "/run/netns";
/// Processes that are looked at.
const PROCESSES_MAX: usize = 65_536;

/// Looks for addresses in our own network namespace, in those of all processes that we see, and in named ones.
pub(super) fn look_for(host: &[IpAddr]) -> Found {
    let mut missing: HashSet<IpAddr> = host.iter().copied().collect();
    strike(&mut missing, Path::new("/proc/thread-self/net"));
    if missing.is_empty() {
        return Found::All(TapPlace::OwnInterface);
    }
    let elsewhere = of_processes().any(|net| strike(&mut missing, &net));
    if elsewhere || in_named(&mut missing) {
        Found::All(TapPlace::Elsewhere)
    } else {
        Found::Missing
    }
}

/// One process's `/proc/PID/net` for each network namespace.
fn of_processes() -> impl Iterator<Item = PathBuf> {
    let mut known = HashSet::new();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter(|entry| {
            let name = entry.file_name();
            name.as_encoded_bytes().iter().all(u8::is_ascii_digit)
        })
        .take(PROCESSES_MAX)
        .filter_map(move |entry| {
            let namespace = fs::read_link(entry.path().join("ns/net")).ok()?;
            known.insert(namespace).then(|| entry.path().join("net"))
        })
}

/// Enters each named namespace in a thread that ends there.
fn in_named(missing: &mut HashSet<IpAddr>) -> bool {
    for entry in fs::read_dir(NAMED).into_iter().flatten().flatten() {
        let Ok(namespace) = File::open(entry.path()) else {
            continue;
        };
        std::thread::scope(|scope| {
            let look = scope.spawn(|| {
                if setns(&namespace, CloneFlags::CLONE_NEWNET).is_ok() {
                    strike(missing, Path::new("/proc/thread-self/net"));
                }
            });
            // A thread that fails has found nothing.
            let _failed = look.join();
        });
        if missing.is_empty() {
            return true;
        }
    }
    false
}

/// Strikes out the addresses that a namespace has; whether none is missing then.
fn strike(missing: &mut HashSet<IpAddr>, net: &Path) -> bool {
    let read = |name: &str| fs::read_to_string(net.join(name)).unwrap_or_default();
    for addr in local_v4(&read("fib_trie")) {
        missing.remove(&IpAddr::V4(addr));
    }
    for addr in read("if_inet6").lines().filter_map(v6) {
        missing.remove(&IpAddr::V6(addr));
    }
    missing.is_empty()
}

/// Local addresses of `fib_trie`: a line with the address, then one with `/32 host LOCAL`.
fn local_v4(trie: &str) -> impl Iterator<Item = Ipv4Addr> {
    let mut leaf = None;
    trie.lines().filter_map(move |line| {
        let line = line.trim_start();
        if let Some(addr) = line.strip_prefix("|-- ") {
            leaf = addr.parse().ok();
            None
        } else if line.starts_with("/32 host LOCAL") {
            leaf
        } else {
            None
        }
    })
}

/// A line of `if_inet6` begins with the address in 32 hexadecimal digits.
fn v6(line: &str) -> Option<Ipv6Addr> {
    let digits = line.split(' ').next().filter(|digits| digits.len() == 32)?;
    u128::from_str_radix(digits, 16).ok().map(Ipv6Addr::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_local_addresses_of_the_trie_are_ours() {
        let trie = "Local:\n  +-- 10.1.0.0/24 2 0 2\n     |-- 10.1.0.0\n        /24 link UNICAST\n     \
                    |-- 10.1.0.2\n        /32 host LOCAL\n     |-- 10.1.0.255\n        /32 link BROADCAST\n";
        let found: Vec<Ipv4Addr> = local_v4(trie).collect();
        assert_eq!(found, [Ipv4Addr::new(10, 1, 0, 2)]);
    }

    #[test]
    fn ipv6_addresses_read() {
        let line = "20010db8000100000000000000000002 02 40 00 80     eth0";
        assert_eq!(v6(line), "2001:db8:1::2".parse().ok());
        assert_eq!(v6("x"), None);
    }

    #[test]
    fn loopback_is_on_an_interface_of_our_own_and_a_documentation_address_nowhere() {
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        assert_eq!(look_for(&[loopback]), Found::All(TapPlace::OwnInterface));
        let nowhere = "203.0.113.77".parse().unwrap();
        assert_eq!(look_for(&[loopback, nowhere]), Found::Missing);
    }
}
