//! What one step costs, by itself: decode, flow memory, recall ring, encode, judge.
//!
//! A harness of a few lines instead of a crate: it reports like the other benchmarks, and takes its input from the
//! same traffic.

use std::hint::black_box;
use std::path::Path;

use anyhow::{Context, Result};
use parallax_agent::capture::file::{FileReader, read_digests};
use parallax_agent::memory::{Grace, Memory};
use parallax_agent::noted::Noted;
use parallax_agent::recall::Ring;
use parallax_collector::store::encode_digests;
use parallax_core::archive::{Archive, Record};
use parallax_core::decode::{LinkType, RawPacket, decode};
use parallax_core::judge::judge_flow;
use parallax_core::{CaptureTime, Coverage, Digest, FlowEvidence, Selection, Vantage, VantageKind};
use parallax_proto::batch;
use parallax_proto::packed::Packer;
use parallax_proto::v1::AgentMessage;
use parallax_proto::v1::agent_message::Message;
use prost::Message as _;

use crate::measured::{middle, now};
use crate::report::{Bound, Report, Show, grouped, short};
use crate::traffic::{self, NAMES, Plan};

#[derive(clap::Args)]
pub struct Options {
    /// Packets that each step is measured with.
    #[arg(long, default_value_t = 100_000)]
    packets: u32,
    /// Connections that they belong to.
    #[arg(long, default_value_t = 2_000)]
    connections: u32,
    /// The same seed makes the same packets.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Rounds over all packets, of which the median counts.
    #[arg(long, default_value_t = 21)]
    runs: usize,
    #[command(flatten)]
    show: Show,
}

/// Digests of a message, as agents send them under load.
const BATCH: usize = 4_096;

/// MiB of a real agent's memories, by default.
const FLOW_MEMORY: usize = 128 << 20;
const RECALL_MEMORY: usize = 64 << 20;

/// A capture in memory.
struct Frames {
    octets: Vec<u8>,
    frames: Vec<Frame>,
}

struct Frame {
    time: CaptureTime,
    link: LinkType,
    original_len: u32,
    start: usize,
    end: usize,
}

/// Takes the time of one step after the other.
struct Bench {
    runs: usize,
    rows: Vec<Vec<String>>,
}

pub fn run(options: &Options) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let plan = Plan {
        packets: options.packets,
        connections: options.connections,
        seed: options.seed,
    };
    let mix = folder.path().join("mix.pcap");
    traffic::write_mix(&mix, plan)?;
    let frames = Frames::of(&mix)?;
    let digests = digests(&mix)?;
    let evidence = evidence(folder.path(), plan)?;
    let mut bench = Bench {
        runs: options.runs.max(1),
        rows: Vec::new(),
    };
    bench.reading(&frames);
    bench.remembering(&digests);
    let octets = bench.sending(&digests)?;
    bench.judging(&evidence);
    let mut report = Report::new("micro");
    report.say(&format!(
        "Single steps over {} packets of {} connections, snaplen 96: nanoseconds of one thread, median and least of {} \
         rounds.",
        grouped(options.packets.into()),
        grouped(options.connections.into()),
        options.runs
    ));
    report.table(&["step", "for each", "median ns", "least ns"], &bench.rows);
    report.goal(
        "octets a digest on the wire, 4,096 a message",
        octets / digests.len() as f64,
        Bound::AtMost(16.0),
    );
    report.show(&options.show)
}

impl Bench {
    /// Times a step that does `count` things a round.
    fn time(&mut self, step: &str, thing: &str, count: usize, mut work: impl FnMut()) {
        work();
        let mut rounds = Vec::with_capacity(self.runs);
        for _ in 0..self.runs {
            let begun = now();
            work();
            rounds.push(begun.elapsed().as_nanos() as f64 / count.max(1) as f64);
        }
        let least = rounds.iter().copied().fold(f64::INFINITY, f64::min);
        self.rows.push(vec![
            step.to_owned(),
            thing.to_owned(),
            short(middle(rounds.into_iter())),
            short(least),
        ]);
    }

    fn reading(&mut self, frames: &Frames) {
        self.time("decode to a digest", "packet", frames.frames.len(), || {
            for frame in &frames.frames {
                let packet = RawPacket {
                    time: frame.time,
                    link: frame.link,
                    original_len: frame.original_len,
                    interface: 0,
                    data: &frames.octets[frame.start..frame.end],
                };
                // What cannot be read is part of the work.
                let _ = black_box(decode(black_box(&packet)));
            }
        });
    }

    fn remembering(&mut self, digests: &[Digest]) {
        let digests: Vec<Noted> = digests.iter().map(Noted::of).collect();
        let mut memory = Memory::new(FLOW_MEMORY, Selection::Context, Grace::default());
        let mut out = Vec::with_capacity(BATCH);
        self.time("flow memory", "digest", digests.len(), || {
            for digest in &digests {
                memory.observe(black_box(digest), &mut out);
                out.clear();
            }
        });
        let mut ring = Ring::new(RECALL_MEMORY);
        self.time("recall ring", "digest", digests.len(), || {
            for digest in &digests {
                ring.push(black_box(digest), false);
            }
        });
    }

    /// Returns the octets that all of them take on the wire.
    fn sending(&mut self, digests: &[Digest]) -> Result<f64> {
        self.time("encode for the wire", "digest", digests.len(), || {
            for digests in digests.chunks(BATCH) {
                black_box(batch::encode_in_columns(0, black_box(digests)));
            }
        });
        let batches: Vec<_> = digests
            .chunks(BATCH)
            .map(|digests| batch::encode_in_columns(0, digests))
            .collect();
        for encoded in &batches {
            batch::decode(encoded.clone()).context("a batch cannot be read back")?;
        }
        let messages: Vec<AgentMessage> = batches
            .iter()
            .map(|batch| AgentMessage {
                message: Some(Message::Batch(batch.clone())),
            })
            .collect();
        let mut packer = Packer::new().context("making a packer")?;
        let mut octets = 0;
        self.time("pack for the wire", "digest", digests.len(), || {
            octets = 0;
            for message in &messages {
                octets += packer.pack(message.clone()).encoded_len();
            }
        });
        self.time("decode from the wire", "digest", digests.len(), || {
            for encoded in &batches {
                // The copy of the columns is part of the figure, and small.
                let _ = black_box(batch::decode(encoded.clone()));
            }
        });
        self.time("encode for COPY", "digest", digests.len(), || {
            for digests in digests.chunks(BATCH) {
                black_box(encode_digests(1, 1, 0, black_box(digests)));
            }
        });
        Ok(octets as f64)
    }

    fn judging(&mut self, evidence: &[FlowEvidence]) {
        self.time(
            "judge, three vantages and a NAT",
            "connection with resets",
            evidence.len(),
            || {
                for evidence in evidence {
                    black_box(judge_flow(black_box(evidence)));
                }
            },
        );
    }
}

impl Frames {
    fn of(capture: &Path) -> Result<Self> {
        let mut reader = FileReader::open(capture)?;
        let mut frames = Self {
            octets: Vec::new(),
            frames: Vec::new(),
        };
        while let Some(packet) = reader.next_packet()? {
            let start = frames.octets.len();
            frames.octets.extend_from_slice(packet.data);
            frames.frames.push(Frame {
                time: packet.time,
                link: packet.link,
                original_len: packet.original_len,
                start,
                end: frames.octets.len(),
            });
        }
        Ok(frames)
    }
}

fn digests(capture: &Path) -> Result<Vec<Digest>> {
    let mut digests = Vec::new();
    read_digests(capture, &mut |digest| digests.push(digest))?;
    Ok(digests)
}

/// Everything about each connection with resets, as three vantages recorded it.
fn evidence(folder: &Path, plan: Plan) -> Result<Vec<FlowEvidence>> {
    let captures = NAMES.map(|name| folder.join(name));
    traffic::write_vantages(&captures, plan)?;
    let mut records = Vec::new();
    for (name, capture) in NAMES.iter().zip(&captures) {
        let mut digests = Vec::new();
        let summary = read_digests(capture, &mut |digest| digests.push(digest))?;
        let coverage: Vec<Coverage> = summary.coverage.into_iter().collect();
        records.push(Record {
            vantage: Vantage {
                name: (*name).to_owned(),
                kind: VantageKind::Hop,
            },
            selection: Selection::All,
            coverage,
            digests,
        });
    }
    let archive = Archive::new(&records, None);
    let flows = archive.flows().iter();
    Ok(flows.map(|flow| archive.evidence(*flow)).collect())
}
