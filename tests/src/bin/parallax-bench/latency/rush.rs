//! Many resets a second through three live agents: from the RST on the wire to its verdict.
//!
//! ```text
//!  client ── a ── b1 ══ b ── b2 ══ b3 ── c ── server
//!                            │
//!                            box
//! ```
//!
//! `a`, `b` and `c` are watched; a box at the bridge `b2` forges RSTs in the server's name, which pass `b` and `a`. Each
//! connection is new: handshake and a request pass all three, a tenth of a second later its RST comes.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use etherparse::PacketBuilder;
use parallax_core::report::{Document, Origin, ResetReport};
use parallax_tests::enclosure::{self, Half, SCRATCH};
use parallax_tests::namespace::Namespace;
use parallax_tests::programs::{Programs, Running, wait_for};
use parallax_tests::service::{ask, url};
use pcap::{Active, Capture};
use serde::{Deserialize, Serialize};

use crate::live::{grpc, serve};
use crate::measured::{now, quantile};

/// Resets at a rate. Only for this program's own use.
#[derive(Debug, clap::Args)]
pub struct Rush {
    /// Resets a second.
    #[arg(long)]
    rate: u32,
    #[arg(long)]
    seconds: u32,
    /// Where to tell what was measured.
    #[arg(long)]
    to: PathBuf,
}

/// Milliseconds from the RST on the wire; resets.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Rushed {
    pub sent: usize,
    pub told: usize,
    pub right: usize,
    /// Median, p99 and worst, to the first verdict and to the right one, of those that came.
    pub to_told: [f64; 3],
    pub to_right: [f64; 3],
}

const PATIENCE: Duration = Duration::from_secs(30);
/// How long verdicts may take after the last RST.
const SETTLING: Duration = Duration::from_secs(20);
/// From a connection's beginning to its RST.
const LIFE: Duration = Duration::from_millis(100);
/// Resets before those that count, at a gentle rate.
const WARM: u32 = 40;
const WARM_RATE: u32 = 10;

const SERVER: [u8; 4] = [203, 0, 113, 1];
const MACS: [[u8; 6]; 3] = [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2], [2, 0, 0, 0, 0, 3]];

#[derive(Debug, Clone, Copy)]
struct Course {
    sent: Instant,
    told: Option<Instant>,
    right: Option<Instant>,
}

/// By the client's address.
type Courses = Arc<Mutex<HashMap<IpAddr, Course>>>;

impl Rush {
    pub fn run(&self) -> Result<()> {
        if let Half::Outer(status) = enclosure::enter()? {
            ensure!(status.success(), "it ended with {status}");
            return Ok(());
        }
        let folder = Path::new(SCRATCH).join("rush");
        std::fs::create_dir_all(&folder).context("making a folder")?;
        let path = Namespace::create("path")?;
        lay(&path)?;
        let programs = Programs::beside_this_one()?;
        let serving = serve(&path, &programs, &folder, &["--path", "a,b,c"])?;
        let agents = ["a", "b", "c"]
            .map(|vantage| watch(&path, &programs, &folder, vantage))
            .into_iter()
            .collect::<Result<Vec<Running>>>()?;
        connected(&path, agents.len())?;
        let courses = Courses::default();
        hear(&path, Arc::clone(&courses))?;
        let ends = Ends::open(&path)?;
        ends.send(0..WARM, WARM_RATE, &courses)?;
        std::thread::sleep(Duration::from_secs(2));
        locked(&courses, HashMap::clear);
        let last = WARM + self.rate * self.seconds;
        ends.send(WARM..last, self.rate, &courses)?;
        // Nobody is waited for longer; the rest counts as missing.
        let _ = wait_for(SETTLING, || {
            let all_right = |courses: &mut HashMap<IpAddr, Course>| {
                courses.values().all(|course| course.right.is_some())
            };
            Ok(locked(&courses, all_right).then_some(()))
        })?;
        let rushed = locked(&courses, |courses| summed(courses));
        for agent in agents {
            agent.stop()?;
        }
        serving.stop()?;
        let file = std::fs::File::create(&self.to).context("telling what was measured")?;
        Ok(serde_json::to_writer(file, &rushed)?)
    }
}

fn locked<T>(courses: &Courses, work: impl FnOnce(&mut HashMap<IpAddr, Course>) -> T) -> T {
    work(&mut courses.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Three bridges in a row, joined by veths, with an end for each that sends.
fn lay(path: &Namespace) -> Result<()> {
    for (one, other) in [
        ("client", "a"),
        ("b1-out", "b"),
        ("b2-out", "b3-in"),
        ("c", "server"),
        ("box", "b2-box"),
    ] {
        path.ip(&[
            "link", "add", "dev", one, "type", "veth", "peer", "name", other,
        ])?;
        for end in [one, other] {
            path.sysctl(&format!("net/ipv6/conf/{end}/disable_ipv6"), "1")?;
            path.ip(&["link", "set", "dev", end, "up"])?;
        }
    }
    for (bridge, ports) in [
        ("b1", &["a", "b1-out"][..]),
        ("b2", &["b", "b2-out", "b2-box"]),
        ("b3", &["b3-in", "c"]),
    ] {
        path.ip(&[
            "link",
            "add",
            bridge,
            "type",
            "bridge",
            "mcast_snooping",
            "0",
        ])?;
        path.sysctl(&format!("net/ipv6/conf/{bridge}/disable_ipv6"), "1")?;
        for port in ports {
            path.ip(&["link", "set", "dev", port, "master", bridge])?;
        }
        path.ip(&["link", "set", "dev", bridge, "up"])?;
    }
    Ok(())
}

fn watch(path: &Namespace, programs: &Programs, folder: &Path, vantage: &str) -> Result<Running> {
    let mut command = path.command(programs.agent());
    command
        .args(["run", "--vantage", vantage, "--interface", vantage])
        .args(["--witness", "off", "--collector", &grpc()]);
    Running::start(vantage, command, folder)
}

fn connected(path: &Namespace, count: usize) -> Result<()> {
    let all = wait_for(PATIENCE, || {
        let document: Document = serde_json::from_str(&ask(path, &url(), "/v1/vantages")?)?;
        let vantages = document.vantages.iter();
        let connected = vantages.filter(|vantage| vantage.connected == Some(true));
        Ok((connected.count() == count).then_some(()))
    })?;
    all.context("not every agent connected")
}

/// Notes verdicts as they can be read, on a thread that ends with the collector.
fn hear(path: &Namespace, courses: Courses) -> Result<()> {
    let (tell, told) = std::sync::mpsc::channel();
    let namespace = path.handle()?;
    std::thread::spawn(move || {
        let entered = nix::sched::setns(&namespace, nix::sched::CloneFlags::CLONE_NEWNET);
        let answer = entered
            .map_err(anyhow::Error::from)
            .and_then(|()| Ok(ureq::get(format!("{}/v1/watch", url())).call()?));
        let mut answer = match answer {
            Ok(answer) => {
                let _ = tell.send(Ok(()));
                answer
            }
            Err(error) => {
                let _ = tell.send(Err(error));
                return;
            }
        };
        let lines = BufReader::new(answer.body_mut().as_reader()).lines();
        for line in lines.map_while(Result::ok) {
            let data = line.strip_prefix("data:").map(str::trim_start);
            if let Some(Ok(report)) = data.map(serde_json::from_str::<ResetReport>) {
                let now = now();
                locked(&courses, |courses| heard(courses, &report, now));
            }
        }
    });
    told.recv().context("nobody watches")?
}

fn heard(courses: &mut HashMap<IpAddr, Course>, report: &ResetReport, now: Instant) {
    let Some(course) = courses.get_mut(&report.dst) else {
        return;
    };
    course.told.get_or_insert(now);
    let born = [Some("c".to_owned()), Some("b".to_owned())];
    if report.origin == Origin::Middlebox && report.between == Some(born) {
        course.right.get_or_insert(now);
    }
}

fn summed(courses: &HashMap<IpAddr, Course>) -> Rushed {
    let times = |of: fn(&Course) -> Option<Instant>| -> Vec<f64> {
        let all = courses.values();
        let mut times: Vec<f64> = all
            .filter_map(|course| Some(of(course)?.duration_since(course.sent).as_secs_f64() * 1e3))
            .collect();
        times.sort_by(f64::total_cmp);
        times
    };
    let (told, right) = (times(|course| course.told), times(|course| course.right));
    let parts = |times: &[f64]| [0.5, 0.99, 1.0].map(|part| quantile(times, part));
    Rushed {
        sent: courses.len(),
        told: told.len(),
        right: right.len(),
        to_told: parts(&told),
        to_right: parts(&right),
    }
}

/// Where frames are put on the wire.
struct Ends {
    client: Mutex<Capture<Active>>,
    server: Mutex<Capture<Active>>,
    forger: Mutex<Capture<Active>>,
}

impl Ends {
    fn open(path: &Namespace) -> Result<Self> {
        let open = |name: &str| {
            path.within(|| {
                let end = Capture::from_device(name).and_then(|end| end.snaplen(64).open());
                end.map_err(std::io::Error::other)
            })
        };
        Ok(Self {
            client: Mutex::new(open("client")?),
            server: Mutex::new(open("server")?),
            forger: Mutex::new(open("box")?),
        })
    }

    /// Connections of these numbers, so many a second, and the RST of each when it has lived.
    fn send(&self, numbers: std::ops::Range<u32>, rate: u32, courses: &Courses) -> Result<()> {
        let begun = now();
        let step = Duration::from_secs(1) / rate.max(1);
        let lag = (LIFE.as_nanos() / step.as_nanos().max(1)) as u32;
        let count = numbers.end - numbers.start;
        for tick in 0..count + lag {
            if let Some(wait) = (step * tick).checked_sub(begun.elapsed()) {
                std::thread::sleep(wait);
            }
            if tick < count {
                self.begin(numbers.start + tick)?;
            }
            if let Some(old) = tick.checked_sub(lag) {
                let number = numbers.start + old;
                let frame = reset(number)?;
                let course = Course {
                    sent: now(),
                    told: None,
                    right: None,
                };
                locked(courses, |courses| courses.insert(client(number), course));
                put(&self.forger, &frame)?;
            }
        }
        Ok(())
    }

    fn begin(&self, number: u32) -> Result<()> {
        let [syn, syn_ack, ack, request] = opening(number)?;
        put(&self.client, &syn)?;
        put(&self.server, &syn_ack)?;
        put(&self.client, &ack)?;
        put(&self.client, &request)
    }
}

fn put(end: &Mutex<Capture<Active>>, frame: &[u8]) -> Result<()> {
    let mut end = end.lock().unwrap_or_else(PoisonError::into_inner);
    end.sendpacket(frame).context("sending a frame")
}

/// Each connection has a client of its own (RFC 2544's addresses).
fn client(number: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from_bits(
        u32::from(Ipv4Addr::new(198, 18, 0, 0)) + number,
    ))
}

const fn octets(number: u32) -> [u8; 4] {
    let [_, two, three, four] = number.to_be_bytes();
    [198, 18 + two, three, four]
}

/// The initial sequence numbers of client and server.
const fn initial(number: u32) -> [u32; 2] {
    let mixed = number.wrapping_mul(0x9e37_79b1);
    [mixed, !mixed]
}

const PORTS: [u16; 2] = [40_000, 443];
const REQUEST: &[u8] = b"GET /forbidden HTTP/1.1\r\nHost: example.net\r\n\r\n";

fn opening(number: u32) -> Result<[Vec<u8>; 4]> {
    let [ours, theirs] = initial(number);
    let (there, back) = ([MACS[0], MACS[1]], [MACS[1], MACS[0]]);
    let from_client = || {
        PacketBuilder::ethernet2(there[0], there[1])
            .ipv4(octets(number), SERVER, 60)
            .tcp(PORTS[0], PORTS[1], ours.wrapping_add(1), 502)
            .ack(theirs.wrapping_add(1))
    };
    let syn = PacketBuilder::ethernet2(there[0], there[1])
        .ipv4(octets(number), SERVER, 60)
        .tcp(PORTS[0], PORTS[1], ours, 64_240)
        .syn();
    let syn_ack = PacketBuilder::ethernet2(back[0], back[1])
        .ipv4(SERVER, octets(number), 55)
        .tcp(PORTS[1], PORTS[0], theirs, 65_160)
        .syn()
        .ack(ours.wrapping_add(1));
    let written = |builder: etherparse::PacketBuilderStep<etherparse::TcpHeader>,
                   payload: &[u8]| {
        let mut frame = Vec::with_capacity(128);
        let done = builder.write(&mut frame, payload).context("making a frame");
        done.map(|()| frame)
    };
    // A payload that many carry would tell of none: each request begins in its own way.
    let own = [&number.to_be_bytes()[..], REQUEST].concat();
    Ok([
        written(syn, &[])?,
        written(syn_ack, &[])?,
        written(from_client(), &[])?,
        written(from_client().psh(), &own)?,
    ])
}

fn reset(number: u32) -> Result<Vec<u8>> {
    let mut frame = Vec::with_capacity(64);
    PacketBuilder::ethernet2(MACS[2], MACS[0])
        .ipv4(SERVER, octets(number), 64)
        .tcp(PORTS[1], PORTS[0], initial(number)[1].wrapping_add(1), 0)
        .rst()
        .write(&mut frame, &[])
        .context("making a frame")?;
    Ok(frame)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clients_address_is_that_of_its_frames() {
        for number in [0, 255, 70_000] {
            assert_eq!(client(number), IpAddr::from(octets(number)));
        }
        let frame = reset(7).unwrap();
        assert_eq!(frame[30..34], octets(7));
    }

    #[test]
    fn what_never_came_is_not_among_the_times() {
        let sent = now();
        let course = |told, right| Course { sent, told, right };
        let later = sent + Duration::from_millis(40);
        let courses = HashMap::from([
            (client(1), course(Some(later), None)),
            (client(2), course(None, None)),
            (client(3), course(Some(later), Some(later))),
        ]);
        let rushed = summed(&courses);
        assert_eq!((rushed.sent, rushed.told, rushed.right), (3, 2, 1));
        assert!((rushed.to_told[1] - 40.0).abs() < 1e-6);
    }
}
