//! Hostile input: what comes from outside as octets, given to what reads it. A panic, an endless loop or growth without
//! bound is a fault; a refusal is none.
//!
//! [`TARGETS`] are plain functions over octets: `cargo test` drives each over its corpus (`fuzz/corpus/TARGET`, seeds made
//! here) and a fixed count of mutations, `make fuzz MINUTES=60` for as long as wanted, and `fuzz/` hands them to libFuzzer.

#![expect(clippy::missing_panics_doc, reason = "panics are what is looked for")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use parallax_core::decode::{LinkType, RawPacket, decode};
use parallax_core::{CaptureTime, judge};
use parallax_proto::testimony::Told;
use parallax_proto::v1::{AgentMessage, CollectorMessage, agent_message};
use parallax_proto::{batch, packed};
use prost::Message as _;

pub mod evidence;
pub mod mutate;
pub mod seeds;

use evidence::Reader;
use mutate::Mutator;

/// Something that reads octets from outside.
pub struct Target {
    pub name: &'static str,
    pub run: fn(&[u8]),
    pub seeds: fn() -> Vec<Vec<u8>>,
}

pub const TARGETS: [Target; 5] = [
    Target {
        name: "decode",
        run: decode_any,
        seeds: seeds::packets,
    },
    Target {
        name: "file",
        run: read_file,
        seeds: seeds::files,
    },
    Target {
        name: "message",
        run: read_message,
        seeds: seeds::messages,
    },
    Target {
        name: "judge",
        run: judge_any,
        seeds: seeds::cases,
    },
    Target {
        name: "query",
        run: read_query,
        seeds: seeds::queries,
    },
];

/// The longest input that is made.
const LONGEST: usize = 1 << 13;

const LINKS: [LinkType; 6] = [
    LinkType::Ethernet,
    LinkType::LinuxSll,
    LinkType::LinuxSll2,
    LinkType::Raw,
    LinkType::Null,
    LinkType::Loop,
];

/// A link type, then a packet.
pub fn decode_any(octets: &[u8]) {
    let Some((which, data)) = octets.split_first() else {
        return;
    };
    let packet = RawPacket {
        time: CaptureTime::from_nanos(1),
        link: LINKS[usize::from(*which) % LINKS.len()],
        original_len: data.len() as u32,
        interface: 0,
        data,
    };
    if let Ok(digest) = decode(&packet) {
        // What is read can be told.
        for told in [batch::encode, batch::encode_in_columns] {
            assert!(
                batch::decode(told(0, &[digest])).is_ok(),
                "a digest cannot be told: {digest:?}"
            );
        }
    }
}

/// A capture file.
pub fn read_file(octets: &[u8]) {
    thread_local! {
        static FILE: tempfile::NamedTempFile = tempfile::Builder::new()
            .tempfile_in(if Path::new("/dev/shm").is_dir() { "/dev/shm" } else { "/tmp" })
            .expect("a file for input");
    }
    FILE.with(|file| {
        let mut handle = file.reopen().expect("the file opened again");
        handle.set_len(0).expect("an empty file");
        handle.write_all(octets).expect("the file written");
        let mut count = 0_usize;
        let _ = parallax_agent::capture::file::read_digests(file.path(), &mut |_| count += 1);
        assert!(count <= octets.len(), "more digests than octets");
    });
}

/// A message of an agent or a collector.
pub fn read_message(octets: &[u8]) {
    let _ = CollectorMessage::decode(octets);
    let Ok(AgentMessage {
        message: Some(message),
    }) = AgentMessage::decode(octets)
    else {
        return;
    };
    match message {
        agent_message::Message::Batch(told) => {
            if let Ok(digests) = batch::decode(told) {
                let digests: Vec<_> = digests.into_iter().map(|(_, digest)| digest).collect();
                for told in [batch::encode, batch::encode_in_columns] {
                    let again = batch::decode(told(0, &digests));
                    let again: Vec<_> = again
                        .expect("what was read can be told")
                        .into_iter()
                        .map(|(_, digest)| digest)
                        .collect();
                    assert_eq!(again, digests, "told and read again it is another");
                }
            }
        }
        agent_message::Message::Packed(octets) => {
            if let Ok(message) = packed::unpack(&octets, 1 << 20) {
                read_message(&message.encode_to_vec());
            }
        }
        agent_message::Message::Testimony(told) => {
            let _ = Told::try_from(told);
        }
        _ => {}
    }
}

/// Any evidence gives verdicts whose confidence is a probability.
pub fn judge_any(octets: &[u8]) {
    let evidence = Reader::new(octets).evidence();
    for judged in judge::judge_flow(&evidence) {
        let report = judged.report;
        assert!((0.0..=1.0).contains(&report.confidence), "{report:?}");
        assert!(
            !report.evidence.is_empty(),
            "a verdict without a reason: {report:?}"
        );
    }
}

/// The parameters of a question or a page.
pub fn read_query(octets: &[u8]) {
    let text = String::from_utf8_lossy(octets);
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    parallax_collector::web::read_query(
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())),
        CaptureTime::from_nanos(1_800_000_000_000_000_000),
    );
}

impl Target {
    /// The seeds, and the files of the corpus.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn corpus(&self) -> Result<Vec<Vec<u8>>> {
        let mut corpus = (self.seeds)();
        let folder = folder(self.name);
        if folder.is_dir() {
            let entries = std::fs::read_dir(&folder).context("reading a corpus")?;
            let paths = entries.map(|entry| entry.map(|entry| entry.path()));
            let mut paths: Vec<PathBuf> = paths.collect::<Result<_, _>>()?;
            // A run is told by its seed alone.
            paths.sort();
            for path in paths {
                let octets = std::fs::read(path).context("reading a corpus")?;
                if !corpus.contains(&octets) {
                    corpus.push(octets);
                }
            }
        }
        Ok(corpus)
    }

    /// Runs the corpus and `count` mutations of it. What is running is kept in `running`, for whoever looks after a crash.
    ///
    /// # Errors
    /// When the corpus cannot be read.
    pub fn drive(&self, seed: u64, count: u64, running: Option<&Path>) -> Result<()> {
        let corpus = self.corpus()?;
        for input in &corpus {
            (self.run)(input);
        }
        let mut mutator = Mutator::new(seed, LONGEST);
        for _ in 0..count {
            let input = mutator.next(&corpus);
            if let Some(file) = running {
                std::fs::write(file, &input).context("keeping an input")?;
            }
            (self.run)(&input);
        }
        Ok(())
    }
}

/// Where a target's corpus lies.
pub fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fuzz/corpus")
        .join(target)
}

/// Drives all targets in turn for a time; an input that panics is kept in its corpus.
///
/// # Errors
/// When files cannot be written, or an input was found.
pub fn run_for(length: Duration, seed: u64) -> Result<()> {
    #[expect(clippy::disallowed_methods, reason = "a run of so many minutes")]
    let began = std::time::Instant::now();
    let (mut rounds, mut found) = (0_u64, 0);
    let running = std::env::temp_dir().join(format!("parallax-fuzz-{}", std::process::id()));
    while began.elapsed() < length {
        for target in &TARGETS {
            let seed = seed.wrapping_add(rounds);
            let driven = std::panic::catch_unwind(|| target.drive(seed, 20_000, Some(&running)));
            if driven.is_err() {
                let folder = folder(target.name);
                std::fs::create_dir_all(&folder).context("making a corpus")?;
                let kept = folder.join(format!("crash-{seed}"));
                std::fs::copy(&running, &kept).context("keeping an input")?;
                println!("{}: {}", target.name, kept.display());
                found += 1;
            }
        }
        rounds += 1;
    }
    println!(
        "{rounds} rounds of 20,000 inputs for each of {} targets, {found} crashes",
        TARGETS.len()
    );
    anyhow::ensure!(found == 0, "{found} inputs crash");
    Ok(())
}
