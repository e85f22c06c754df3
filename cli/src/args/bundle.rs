//! Commands about evidence for another company.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;
use parallax_bundle::sealed::PublicKey;

use super::{Collector, Show, Status};
use crate::when;

/// Write what this side recorded of a connection whose reset the other side saw
///
/// For the side whose own list shows no reset of it: its silence is evidence. If it did see one within a minute of
/// the moment, the bundle tells that. Compare it with the other side's: parallax compare.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  parallax bundle 198.51.100.7:46420 192.0.2.80:443 --at 2026-01-02T03:04:05Z --key-file shared.key -o ours.bundle
  parallax bundle [2001:db8::7]:46420 [2001:db8::80]:443 --at 10m --key-file shared.key -o ours.bundle

Name the connection as this side's vantages see it; addresses may be translated between the two companies.")]
pub struct BundleArgs {
    /// One end of the connection
    #[arg(value_name = "ADDRESS:PORT")]
    pub one: SocketAddr,
    /// Its other end
    #[arg(value_name = "ADDRESS:PORT")]
    pub other: SocketAddr,
    /// About when the reset was: RFC 3339, or a span before now
    #[arg(long, value_name = "TIME", value_parser = when::parse)]
    pub at: Timestamp,
    /// The key that both companies share: 16 to 4096 octets of chance
    #[arg(long, value_name = "FILE")]
    pub key_file: PathBuf,
    /// Where to write; - is standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    #[command(flatten)]
    pub collector: Collector,
}

/// Judge a reset by what two companies recorded of it, without exchanging captures
///
/// Each side writes a bundle of its own reset with `parallax export --format bundle` and the key file that both
/// share; one that saw no reset writes a bundle of the connection with `parallax bundle`. Names of vantages get "ours:" and "theirs:" before them. Addresses and ports are pseudonyms.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  parallax export 5f2a9c01 --format bundle --key-file shared.key -o ours.bundle
  parallax compare ours.bundle theirs.bundle --key-file shared.key
  parallax compare ours.bundle theirs.bundle --trust $(cat ours.pub),$(cat theirs.pub) --format json

Exit status: 3 when a bundle is refused: altered, cut, made with another key, or signed by somebody unknown.")]
pub struct CompareArgs {
    /// The bundle of this side
    pub ours: PathBuf,
    /// The bundle of the other side
    pub theirs: PathBuf,
    /// Refuse bundles that were not made with this key
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// Refuse bundles that were signed by anybody else; `parallax-collector key` prints a collector's
    #[arg(long, value_name = "PUBKEY", value_delimiter = ',')]
    pub trust: Vec<PublicKey>,
    /// The vantages from the client side to the server side, each with "ours:" or "theirs:"; without it they are
    /// put in order by what they recorded
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    pub path: Vec<String>,
    #[command(flatten)]
    pub show: Show,
    #[command(flatten)]
    pub status: Status,
}
