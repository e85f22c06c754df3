//! Programs that read the same captures, and how they say how many packets they read.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use crate::measured::{Bounds, Cost, Run};

/// A program that reads a capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// `parallax-agent digest --format none`.
    Parallax,
    /// tcpdump that only counts: what reading by libpcap costs.
    Floor,
    /// tcpdump that writes what has RST set.
    Filter,
    Softflowd,
    Nfpcapd,
    Tcptrace,
    P0f,
    /// The fields of RSTs.
    Tshark,
}

impl Peer {
    /// Those that read the whole mix.
    pub const OF_THE_MIX: [Self; 7] = [
        Self::Parallax,
        Self::Floor,
        Self::Filter,
        Self::Softflowd,
        Self::Nfpcapd,
        Self::Tcptrace,
        Self::P0f,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Parallax => "parallax-agent digest",
            Self::Floor => "tcpdump --count",
            Self::Filter => "tcpdump, RST filter",
            Self::Softflowd => "softflowd",
            Self::Nfpcapd => "nfpcapd",
            Self::Tcptrace => "tcptrace",
            Self::P0f => "p0f",
            Self::Tshark => "tshark, fields of RSTs",
        }
    }

    const fn program(self) -> &'static str {
        match self {
            Self::Parallax => "parallax-agent",
            Self::Floor | Self::Filter => "tcpdump",
            Self::Softflowd => "softflowd",
            Self::Nfpcapd => "nfpcapd",
            Self::Tcptrace => "tcptrace",
            Self::P0f => "p0f",
            Self::Tshark => "tshark",
        }
    }

    /// Where it is installed, if it is.
    pub fn find(self) -> Option<PathBuf> {
        if self == Self::Parallax {
            let own = crate::binaries().ok()?.join(self.program());
            return own.is_file().then_some(own);
        }
        installed(self.program())
    }

    /// How it reads a capture of one vantage; what it writes goes to `folder`.
    fn run(self, program: PathBuf, capture: &Path, folder: &Path) -> Run {
        let run = Run::new(program, folder);
        let log = folder.join("log");
        match self {
            Self::Parallax => run
                .args(&["digest", "--format", "none", "--file"])
                .arg(capture),
            Self::Floor => run.args(&["--count", "-r"]).arg(capture),
            Self::Filter => run
                .arg("-r")
                .arg(capture)
                .arg("-w")
                .arg(log)
                .arg("tcp[tcpflags] & tcp-rst != 0"),
            Self::Softflowd => run
                .args(&["-d", "-6", "-m", "10000000", "-p"])
                .arg(folder.join("pid"))
                .arg("-c")
                .arg(folder.join("control"))
                .arg("-r")
                .arg(capture),
            Self::Nfpcapd => run.arg("-r").arg(capture).arg("-w").arg(folder),
            Self::Tcptrace => run.arg("-n").arg(capture),
            Self::P0f => run.arg("-r").arg(capture).arg("-o").arg(log),
            Self::Tshark => run
                .arg("-n")
                .args(&["-o", "tcp.relative_sequence_numbers:FALSE", "-r"])
                .arg(capture)
                .args(&["-Y", "tcp.flags.reset==1", "-T", "fields"])
                .args(&[
                    "-e",
                    "frame.time_epoch",
                    "-e",
                    "ip.src",
                    "-e",
                    "tcp.srcport",
                ])
                .args(&["-e", "ip.dst", "-e", "tcp.dstport", "-e", "tcp.seq_raw"]),
        }
    }

    /// Reads a capture of so many packets once.
    ///
    /// # Errors
    /// It failed, or did not read all of them: then its figures say nothing.
    pub fn read(
        self,
        program: &Path,
        capture: &Path,
        packets: u32,
        bounds: Bounds,
    ) -> Result<Cost> {
        let folder = tempfile::tempdir()?;
        let run = self.run(program.to_owned(), capture, folder.path());
        let cost = run.measure(bounds)?;
        if let Some(prefix) = self.tells() {
            let said = format!("{}\n{}", run.words(), run.printed());
            let read = count(&said, prefix);
            ensure!(
                read == Some(u64::from(packets)),
                "{} read {read:?} packets of {packets}",
                self.name()
            );
        }
        Ok(cost)
    }

    /// What stands before or behind the number of packets that it read; none: it does not tell.
    const fn tells(self) -> Option<Tells> {
        match self {
            Self::Parallax | Self::Floor => Some(Tells::Before(" packets")),
            Self::Softflowd => Some(Tells::Behind("Packets processed: ")),
            Self::Nfpcapd => Some(Tells::Behind("Total: Processed: ")),
            Self::Tcptrace => Some(Tells::Before(" packets seen")),
            Self::P0f => Some(Tells::Behind("All done. Processed ")),
            Self::Filter | Self::Tshark => None,
        }
    }
}

/// Where a program says how many packets it read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tells {
    /// The number stands before these words.
    Before(&'static str),
    /// It stands behind these words.
    Behind(&'static str),
}

/// The number of packets in a program's words.
fn count(said: &str, tells: Tells) -> Option<u64> {
    match tells {
        Tells::Before(words) => {
            let (before, _) = said.split_once(words)?;
            let number = before
                .rsplit(|letter: char| !letter.is_ascii_digit())
                .next();
            number?.parse().ok()
        }
        Tells::Behind(words) => {
            let (_, behind) = said.split_once(words)?;
            let number = behind.split(|letter: char| !letter.is_ascii_digit()).next();
            number?.parse().ok()
        }
    }
}

/// A program on the path, or where administrators' programs lie.
pub fn installed(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).collect::<Vec<_>>();
    let more = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    folders
        .into_iter()
        .chain(more)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the programs of Debian 12 say it.
    const SAID: [(Peer, &str); 6] = [
        (
            Peer::Parallax,
            "mix.pcap: 50000 packets, 49000 digests, 1000 unread (1000 not_tcp)\n",
        ),
        (
            Peer::Floor,
            "reading from file a.pcap, link-type EN10MB (Ethernet), snapshot length 96\n\n50000 packets\n",
        ),
        (
            Peer::Softflowd,
            "Number of active flows: 0\nPackets processed: 50000\nFragments: 0\n\
             Ignored packets: 3043 (3043 non-IP, 0 too short)\n",
        ),
        (
            Peer::Nfpcapd,
            "Ident: 'none' Flows: 1000, Packets: 50000, Bytes: 32384895\nTerminating flow processng\n\
             Total: Processed: 50000, skipped: 0, short caplen: 0, unknown: 0\n",
        ),
        (
            Peer::Tcptrace,
            "1 arg remaining, starting with 'a.pcap'\n50000 packets seen, 49000 TCP packets traced\n",
        ),
        (Peer::P0f, "\nAll done. Processed 50000 packets.\n"),
    ];

    #[test]
    fn the_number_of_packets_is_found_in_what_each_program_says() {
        for (peer, said) in SAID {
            let read = count(said, peer.tells().unwrap());
            assert_eq!(read, Some(50_000), "{}", peer.name());
        }
    }

    #[test]
    fn words_without_a_number_tell_none() {
        assert_eq!(count("no packets", Tells::Before(" packets")), None);
        assert_eq!(count("Processed: ", Tells::Behind("Processed: ")), None);
        assert_eq!(count("", Tells::Behind("Processed: ")), None);
    }
}
