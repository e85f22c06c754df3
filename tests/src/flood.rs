//! A flood of SYNs, each of a flow of its own, past a live agent, while connections that were open before are reset:
//! both programs stay within the memory that they were given, and every reset has its verdict.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use parallax_core::report::{Document, LossAt, Origin, ResetReport, Side};
use pcap::{Active, Capture};
use serde::{Deserialize, Serialize};

use crate::enclosure::SCRATCH;
use crate::lab::{COLLECTOR, Family, Lab, Wire};
use crate::programs::{Programs, Running, wait_for};
use crate::recorder;
use crate::scenario::Stage;
use crate::service::{self, agent};
use crate::traffic::{Connection, abort_on_close, pause};

/// Where the flood passes.
const FLOODED: &str = "gw-in";
/// Who watches beside.
const BESIDE: &str = "client";

/// MiB that the flooded agent is given: flows, memory for questions, what waits, the kernel's buffer.
const MEMORIES: [(&str, u64); 4] = [
    ("--memory", 32),
    ("--recall-memory", 32),
    ("--spool-memory", 32),
    ("--buffer", 16),
];
/// MiB of an agent beyond those: the program, its threads, what is on the way.
const REST: u64 = 64;
/// MiB of a collector: what may wait to be stored twice over, and the program.
const COLLECTOR_LIMIT: u64 = 768;

/// Connections that are open before the flood, and reset in it.
const OPEN: usize = 40;
const PORT: u16 = 9100;

/// What was measured; kept as `flood.json`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Measured {
    pub flows: u32,
    pub seconds: f64,
    /// Most that the flooded agent ever had resident, MiB, and what it may.
    pub agent: u64,
    pub agent_limit: u64,
    pub collector: u64,
    pub collector_limit: u64,
    /// Resets of the open connections, and those with the right verdict.
    pub resets: usize,
    pub right: usize,
    /// Of these, sighted by the flooded agent, too.
    pub sighted: usize,
    /// What that agent counts as lost, by what and why; and what the kernel dropped before it.
    pub lost: BTreeMap<String, u64>,
    pub dropped: u64,
}

/// The file with what was [`Measured`].
pub const FLOOD_FILE: &str = "flood.json";

/// Sends so many SYNs at so many a second past an agent of these programs.
pub fn run(out: &Path, programs: &Programs, (flows, rate): (u32, u32)) -> Result<()> {
    std::fs::create_dir_all(out).with_context(|| format!("making {}", out.display()))?;
    let lab = Lab::raise().context("raising the lab")?;
    let collector = serve(&lab, programs, out)?;
    let agents = watch(&lab, programs, out)?;
    let stage = Stage {
        lab: &lab,
        family: Family::V4,
        port: PORT,
    };
    let listener = crate::traffic::listen(&stage)?;
    let mut open = Vec::new();
    for _ in 0..OPEN {
        let mut connection = Connection::open_at(&stage, &listener)?;
        connection.exchange()?;
        open.push(connection);
    }
    pause(500);
    let begun = clock();
    flood(&lab, open, flows, rate)?;
    let seconds = begun.elapsed().as_secs_f64();
    let last = verdicts(&lab)?;
    let flooded = agents.iter().find(|(name, _)| *name == FLOODED);
    let (_, flooded) = flooded.context("the flooded agent")?;
    let measured = Measured {
        flows,
        seconds,
        agent: peak(flooded.pid())?,
        agent_limit: MEMORIES.iter().map(|(_, mebibytes)| mebibytes).sum::<u64>() + REST,
        collector: peak(collector.pid())?,
        collector_limit: COLLECTOR_LIMIT,
        resets: last.len(),
        right: last.iter().filter(|reset| right(reset)).count(),
        sighted: last.iter().filter(|reset| sighted(reset)).count(),
        lost: lost(&lab)?,
        dropped: dropped(&lab)?,
    };
    println!("{measured}");
    let file = out.join(FLOOD_FILE);
    std::fs::write(&file, serde_json::to_vec_pretty(&measured)?)
        .with_context(|| format!("writing {}", file.display()))?;
    for (name, agent) in agents {
        let said = agent.end();
        let last = said.lines().rfind(|line| line.contains(" captured "));
        println!("{name}: {}", last.unwrap_or_default());
    }
    collector.stop()?;
    measured.check()
}

impl Measured {
    fn check(&self) -> Result<()> {
        ensure!(self.right == OPEN, "not every reset has the right verdict");
        let counted = self.lost.values().sum::<u64>() + self.dropped;
        ensure!(
            self.sighted as u64 + counted >= OPEN as u64,
            "sightings of the flooded agent are missing and nothing counts them as lost"
        );
        ensure!(
            self.agent <= self.agent_limit,
            "the agent grew beyond what it was given"
        );
        ensure!(
            self.collector <= self.collector_limit,
            "the collector grew beyond its bound"
        );
        Ok(())
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            flows,
            seconds,
            agent,
            agent_limit,
            collector,
            collector_limit,
            right,
            sighted,
            lost,
            dropped,
            ..
        } = self;
        write!(
            formatter,
            "{flows} SYNs of as many flows in {seconds:.1} s; agent {agent} of {agent_limit} MiB, collector {collector} of \
             {collector_limit} MiB; {right} of {OPEN} resets right, {sighted} of them sighted in the flood; lost there: \
             {lost:?}, dropped by the kernel: {dropped}"
        )
    }
}

/// Sends the flood, in whose parts the open connections are reset one after another.
fn flood(lab: &Lab, open: Vec<Connection>, flows: u32, rate: u32) -> Result<()> {
    let mut wire = recorder::open(&lab.switch, &Wire::Near.port(Side::Server))?;
    let share = flows / OPEN as u32;
    for (part, connection) in (0..).zip(open) {
        send(&mut wire, part * share..(part + 1) * share, rate)?;
        abort_on_close(&connection.client)?;
        drop(connection);
    }
    Ok(())
}

/// The verdicts, when all are right and sighted, or as they stand after two minutes.
fn verdicts(lab: &Lab) -> Result<Vec<ResetReport>> {
    let mut last = Vec::new();
    wait_for(Duration::from_mins(2), || {
        let body = service::get(
            &lab.management,
            &format!("/v1/resets?port={PORT}&limit=1000"),
        )?;
        let document: Document = serde_json::from_str(&body)?;
        last = document.resets;
        let done = last.len() == OPEN && last.iter().all(right) && last.iter().all(sighted);
        Ok(done.then_some(()))
    })?;
    Ok(last)
}

/// What the flooded agent counts as lost.
fn lost(lab: &Lab) -> Result<BTreeMap<String, u64>> {
    let query = format!("/v1/losses?vantage={FLOODED}&limit=100000");
    let losses: Vec<LossAt> = serde_json::from_str(&service::get(&lab.management, &query)?)?;
    let mut counted: BTreeMap<String, u64> = BTreeMap::new();
    for at in losses {
        let what = format!("{} ({})", at.loss.of.as_str(), at.loss.cause.as_str());
        *counted.entry(what).or_default() += at.loss.count.unwrap_or(0);
    }
    Ok(counted)
}

/// Packets that the kernel dropped before the flooded agent.
fn dropped(lab: &Lab) -> Result<u64> {
    let body = service::get(&lab.management, "/v1/vantages")?;
    let document: Document = serde_json::from_str(&body)?;
    let mut vantages = document.vantages.iter();
    let flooded = vantages.find(|vantage| vantage.name == FLOODED);
    Ok(flooded.context("the flooded vantage")?.dropped)
}

fn serve(lab: &Lab, programs: &Programs, out: &Path) -> Result<Running> {
    let command = service::collector(&lab.management, programs);
    let mut collector = Running::start("collector", command, out)?;
    let up = wait_for(Duration::from_secs(30), || {
        collector.check()?;
        Ok(service::get(&lab.management, "/healthz").ok())
    })?;
    up.with_context(|| format!("the collector did not come up: {}", collector.said()))?;
    Ok(collector)
}

fn watch(lab: &Lab, programs: &Programs, out: &Path) -> Result<Vec<(&'static str, Running)>> {
    let grpc = format!("http://{COLLECTOR}:7600");
    let mut agents = Vec::new();
    for point in lab.site().points {
        if ![FLOODED, BESIDE].contains(&point.name) {
            continue;
        }
        let mut command = agent(programs, &point, None, &grpc);
        // What the switch floods is for nobody: it has another address.
        command.arg("--promiscuous");
        command
            .arg("--state-dir")
            .arg(format!("{SCRATCH}/state/{}", point.name));
        for (name, mebibytes) in MEMORIES {
            command.args([name, &mebibytes.to_string()]);
        }
        let mut running = Running::start(&format!("agent-{}", point.name), command, out)?;
        let connected = wait_for(Duration::from_secs(30), || {
            running.check()?;
            Ok(running
                .said()
                .contains("connected to the collector")
                .then_some(()))
        })?;
        connected.with_context(|| format!("{} did not connect", point.name))?;
        agents.push((point.name, running));
    }
    Ok(agents)
}

/// SYNs of these flows, no more than `rate` a second.
fn send(wire: &mut Capture<Active>, flows: std::ops::Range<u32>, rate: u32) -> Result<()> {
    const AT_ONCE: u32 = 100;
    let begun = clock();
    let first = flows.start;
    for flow in flows {
        wire.sendpacket(syn(flow)).context("sending")?;
        let sent = flow - first;
        if sent.is_multiple_of(AT_ONCE) {
            let due = Duration::from_secs_f64(f64::from(sent) / f64::from(rate));
            std::thread::sleep(due.saturating_sub(begun.elapsed()));
        }
    }
    Ok(())
}

/// A SYN whose ends nobody else has, to a link address that nobody has.
fn syn(flow: u32) -> [u8; 54] {
    let mut frame = [0; 54];
    frame[..6].copy_from_slice(&[2, 0xee, 0, 0, 0, 1]);
    frame[6..12].copy_from_slice(&[2, 0xee, 0, 0, 0, 2]);
    frame[12..14].copy_from_slice(&[8, 0]);
    let ip = [0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6, 0, 0];
    frame[14..26].copy_from_slice(&ip);
    // 172.16.0.0/12 has 2^20 addresses; the rest goes into the port.
    let source = 0xac10_0000_u32 | (flow & 0xf_ffff);
    frame[26..30].copy_from_slice(&source.to_be_bytes());
    frame[30..34].copy_from_slice(&[10, 3, 0, 2]);
    let port = 1024 + (flow >> 20) as u16;
    frame[34..36].copy_from_slice(&port.to_be_bytes());
    frame[36..38].copy_from_slice(&443_u16.to_be_bytes());
    frame[38..42].copy_from_slice(&flow.wrapping_mul(2_654_435_761).to_be_bytes());
    frame[46..50].copy_from_slice(&[0x50, 2, 0xff, 0xff]);
    frame
}

/// Whether the flooded agent's word has come.
fn sighted(reset: &ResetReport) -> bool {
    reset.seen_at.iter().any(|name| name == FLOODED)
}

/// The client's own reset, as it was.
fn right(reset: &ResetReport) -> bool {
    reset.origin == Origin::Endpoint && reset.emitter == Some(Side::Client)
}

/// The most that a process ever had resident, MiB.
fn peak(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))
        .context("reading a process's status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    Ok(kibibytes.context("no VmHWM")? / 1024)
}

#[expect(
    clippy::disallowed_methods,
    reason = "paces the flood, and tells how long it took"
)]
fn clock() -> Instant {
    Instant::now()
}
