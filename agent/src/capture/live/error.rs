//! What can go wrong with an interface.

use std::io;
use std::path::PathBuf;

use nix::errno::Errno;
use parallax_core::decode::UnsupportedLink;

/// Why an interface cannot be captured on. The messages are one line and say what to do.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    #[error("no interface to capture on: name one with --interface")]
    NoInterfaceNamed,
    #[error("interface {interface} does not exist: choose from {}", .existing.join(", "))]
    NoSuchInterface {
        interface: String,
        existing: Vec<String>,
    },
    #[error(
        "no right to capture on {interface}: run as root, or once: setcap cap_net_raw+ep {}",
        .program.display()
    )]
    NoRight { interface: String, program: PathBuf },
    #[error("interface {interface} is down: ip link set {interface} up")]
    Down { interface: String },
    #[error("cannot open interface {interface}: {source}")]
    Open {
        interface: String,
        source: pcap::Error,
    },
    #[error("interface {interface}: {source}: choose another interface")]
    UnsupportedLink {
        interface: String,
        source: UnsupportedLink,
    },
    #[error("filter {filter:?} is not understood: {source}: see pcap-filter(7)")]
    BadFilter { filter: String, source: pcap::Error },
    #[error("capture on {interface} ended: {source}: start the agent again")]
    Lost {
        interface: String,
        source: pcap::Error,
    },
    #[error(
        "interface {interface} is gone: when it is back, start the agent again (its systemd unit does that by itself)"
    )]
    Gone { interface: String },
    #[error("cannot read the counters of {interface}: {source}")]
    Counters {
        interface: String,
        source: pcap::Error,
    },
    #[error("cannot wait for packets: {source}")]
    Wait { source: Errno },
    #[error("cannot make the descriptor that ends a capture: {source}")]
    Stop { source: io::Error },
    #[error("--write takes the packets of one interface: start an agent for each")]
    WriteSeveral,
    #[error("--write takes the packets of one thread: leave --threads away")]
    WriteThreads,
    #[error(
        "cannot share the packets of {interface} among threads: {source}: leave --threads away"
    )]
    Share { interface: String, source: Errno },
    #[error("cannot write packets to {}: {source}", .file.display())]
    Write { file: PathBuf, source: pcap::Error },
    #[error("cannot write packets to {}: its name is not UTF-8: choose another", .file.display())]
    WriteName { file: PathBuf },
}
