//! `parallax-agent digest`: a capture file's segments as JSON lines, or only their count.

use std::io::{self, BufWriter, ErrorKind, Write as _};
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use parallax_core::{CaptureTime, Digest, Selection};

use super::log;
use crate::capture::file::{FileError, FileReader, FileSummary};
use crate::memory::{Grace, Memory};
use crate::noted::Batch;
use crate::recall::{Desk, Ring};

mod line;

/// Print the digest of every TCP segment in a capture file
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  parallax-agent digest --file client.pcap | head
  zcat fw.pcapng.gz | parallax-agent digest --file - --format none")]
pub struct DigestArgs {
    /// Capture file: pcap or pcapng, plain or gzipped; - is standard input
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// What to print for each segment on standard output; the summary goes to standard error
    #[arg(long, value_enum, default_value_t = Format::Json)]
    format: Format,
    /// Flow memory in MiB, with --format none
    #[arg(long, env = "PARALLAX_MEMORY", value_name = "MIB", default_value_t = 128,
          value_parser = clap::value_parser!(u32).range(1..=65_536))]
    memory: u32,
    /// Memory of all segments in MiB, with --format none
    #[arg(long, env = "PARALLAX_RECALL_MEMORY", value_name = "MIB", default_value_t = 64,
          value_parser = clap::value_parser!(u32).range(1..=16_384))]
    recall_memory: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One JSON object a line
    Json,
    /// Nothing: only take in what an agent would, and count
    None,
}

/// Runs `parallax-agent digest`.
pub fn run(args: &DigestArgs) -> anyhow::Result<()> {
    let mut reader = FileReader::open(&args.file)?;
    match args.format {
        Format::None => Memories::new(args).take_in(&mut reader)?,
        Format::Json => match print(&mut reader)? {
            Printed::All => {}
            // Whoever read our output has seen enough.
            Printed::PipeClosed => return Ok(()),
        },
    }
    let summary = reader.summary();
    for warning in &summary.warnings {
        log::caution(&warning.to_string());
    }
    log::say(&line_of(&summary));
    Ok(())
}

/// What a live agent remembers: flows, and all segments.
struct Memories {
    flows: Memory,
    desk: Desk,
    batch: Batch,
    /// What would travel.
    travels: Vec<Digest>,
}

impl Memories {
    fn new(args: &DigestArgs) -> Self {
        let octets = |mebibytes: u32| (mebibytes as usize) << 20;
        Self {
            flows: Memory::new(octets(args.memory), Selection::Context, Grace::default()),
            desk: Desk::new(
                Ring::new(octets(args.recall_memory)),
                CaptureTime::default(),
            ),
            batch: Batch::default(),
            travels: Vec::new(),
        }
    }

    fn take_in(mut self, reader: &mut FileReader) -> Result<(), FileError> {
        while reader.next_by(|packet| self.batch.take(packet))? {
            if self.batch.is_full() {
                self.turn();
            }
        }
        self.turn();
        Ok(())
    }

    fn turn(&mut self) {
        for noted in self.batch.foreseen(&self.flows, Some(&self.desk)) {
            self.travels.clear();
            let own = self.flows.observe(noted, &mut self.travels);
            self.desk.note(noted, &self.travels, own);
        }
        self.batch.clear();
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Printed {
    All,
    PipeClosed,
}

fn print(reader: &mut FileReader) -> anyhow::Result<Printed> {
    let mut out = BufWriter::with_capacity(64 * 1024, io::stdout().lock());
    let mut write = || -> anyhow::Result<io::Result<()>> {
        while let Some(digest) = reader.next_digest()? {
            if let Err(error) = line::write(&digest, &mut out) {
                return Ok(Err(error));
            }
        }
        Ok(out.flush())
    };
    match write()? {
        Ok(()) => Ok(Printed::All),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Printed::PipeClosed),
        Err(error) => Err(error).context("cannot write to standard output"),
    }
}

/// For instance `a.pcap: 120 packets, 100 digests, 20 unread (15 not_ip, 5 cut_in_tcp)`.
fn line_of(summary: &FileSummary) -> String {
    let reasons: Vec<String> = summary
        .unread
        .iter()
        .map(|(reason, count)| format!("{count} {}", reason.as_str()))
        .collect();
    let reasons = if reasons.is_empty() {
        String::new()
    } else {
        format!(" ({})", reasons.join(", "))
    };
    format!(
        "{}: {} packets, {} digests, {} unread{reasons}",
        summary.file,
        summary.packets,
        summary.digests,
        summary.unread.total(),
    )
}
