//! What an agent at a hop sends of what it observes: many connections past a live agent, some of them reset.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use parallax_core::report::Side;
use pcap::{Active, Capture};
use serde::{Deserialize, Serialize};

use crate::enclosure::SCRATCH;
use crate::lab::{Lab, Wire};
use crate::programs::{Programs, wait_for};
use crate::recorder;
use crate::service::Service;
use crate::site::Site;

/// The vantage that is measured.
const VANTAGE: &str = "gw-in";

/// What was measured.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Measured {
    pub connections: u32,
    pub resets: usize,
    pub observed_octets: u64,
    /// Written to the collector's connection, compressed and framed.
    pub sent_octets: u64,
    pub packets: u64,
    pub dropped: u64,
}

impl Measured {
    /// Sent in percent of observed.
    pub fn percent(&self) -> f64 {
        self.sent_octets as f64 * 100.0 / self.observed_octets as f64
    }
}

/// The file with what was [`Measured`].
pub const BYTES_FILE: &str = "bytes.json";

/// Sends so many connections past an agent that ships context, about 20 kB each, one in a hundred reset in
/// mid-stream, `rate` packets a second, and keeps what it sent in `out`.
pub fn run(connections: u32, rate: u32, out: &Path) -> Result<()> {
    let folder = Path::new(SCRATCH).join("bytes");
    std::fs::create_dir_all(&folder).context("making a folder")?;
    let lab = Lab::raise().context("raising the lab")?;
    let whole = lab.site();
    let site = Site {
        management: whole.management,
        points: whole
            .points
            .into_iter()
            .filter(|point| point.name == VANTAGE)
            .collect(),
    };
    // What passes is not kept: a gigabyte would fill the scratch space.
    let mut service = Service::start_unrecorded(site, Programs::beside_this_one()?, &folder)?;
    let mut wire = recorder::open(&lab.switch, &Wire::Near.port(Side::Server))?;
    let resets = play(&mut wire, connections, rate)?;
    let expected = resets as u64;
    let told = wait_for(Duration::from_secs(30), || {
        service.check()?;
        let known = service.resets()?.resets.len() as u64;
        Ok((known >= expected).then_some(()))
    })?;
    ensure!(
        told.is_some(),
        "not all {expected} resets were told, but {} ({:?})",
        service.resets()?.resets.len(),
        service.resets()?.vantages
    );
    // The last recalls, and the beat that says what was sent.
    std::thread::sleep(Duration::from_secs(6));
    let document = service.resets()?;
    let vantage = document.vantages.first().context("a vantage")?;
    let measured = Measured {
        connections,
        resets,
        observed_octets: vantage.observed_octets.context("observed octets")?,
        sent_octets: vantage.sent_octets.context("sent octets")?,
        packets: vantage.packets,
        dropped: vantage.dropped,
    };
    service.stop()?;
    println!("{measured:?}: {:.3} %", measured.percent());
    std::fs::create_dir_all(out).with_context(|| format!("making {}", out.display()))?;
    std::fs::write(out.join(BYTES_FILE), serde_json::to_vec_pretty(&measured)?)
        .context("writing the result")
}

/// Connections that are open at a time.
const OPEN: usize = 200;
/// One connection in so many is reset.
const RESET_EACH: u32 = 100;
const SEGMENT: usize = 1400;
const SEGMENTS: u32 = 14;

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const PSH: u8 = 8;
const ACK: u8 = 16;

/// A small generator (splitmix64): the same numbers in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

/// A connection in the making: a request, a response in segments of which every second one is acknowledged, and
/// an end in order or a reset.
struct Talk {
    client: [u8; 4],
    port: u16,
    seq: [u32; 2],
    stamps: [u32; 2],
    step: u32,
    reset: bool,
}

/// Who sends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Client,
    Server,
}

impl Talk {
    fn new(number: u32, random: &mut Random) -> Self {
        let (isns, stamps, end) = (random.next(), random.next(), random.next());
        let [_, high, middle, low] = (end as u32).to_be_bytes();
        Self {
            client: [10, high, middle, low.max(1)],
            port: 1024 + (end >> 32) as u16 % 64_000,
            seq: [isns as u32, (isns >> 32) as u32],
            stamps: [stamps as u32, (stamps >> 32) as u32],
            step: 0,
            reset: number.is_multiple_of(RESET_EACH),
        }
    }

    /// The next packet; `None` after the last.
    fn next(&mut self, random: &mut Random, frame: &mut Vec<u8>) -> Option<()> {
        use End::{Client, Server};
        let step = self.step;
        self.step += 1;
        let data = 4;
        let end = data + SEGMENTS * 3 / 2;
        let (from, flags, len) = match step {
            0 => (Client, SYN, 0),
            1 => (Server, SYN | ACK, 0),
            2 => (Client, ACK, 0),
            3 => (Client, PSH | ACK, 300),
            step if step < end => match (step - data) % 3 {
                2 => (Client, ACK, 0),
                _ => (Server, ACK, SEGMENT),
            },
            step if step == end && self.reset => (Server, RST | ACK, 0),
            step if self.reset || step > end + 2 => return None,
            step if step == end => (Server, FIN | ACK, 0),
            step if step == end + 1 => (Client, FIN | ACK, 0),
            _ => (Server, ACK, 0),
        };
        self.write(random, frame, from, flags, len);
        Some(())
    }

    fn write(
        &mut self,
        random: &mut Random,
        frame: &mut Vec<u8>,
        from: End,
        flags: u8,
        len: usize,
    ) {
        const SERVER: [u8; 4] = [198, 51, 100, 20];
        let me = from as usize;
        self.stamps[me] = self.stamps[me].wrapping_add(1);
        let (ends, ports) = match from {
            End::Client => ([self.client, SERVER], [self.port, 443]),
            End::Server => ([SERVER, self.client], [443, self.port]),
        };
        let options: &[u8] = if flags & SYN == 0 {
            &[1, 1, 8, 10]
        } else {
            &[2, 4, 5, 180, 4, 2, 1, 3, 3, 7, 1, 1, 8, 10]
        };
        let header = (20 + options.len() + 8).next_multiple_of(4);
        frame.clear();
        // To nobody: the kernels on the way leave it alone.
        frame.extend([2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 1 + me as u8, 8, 0]);
        frame.extend([0x45, 0]);
        frame.extend(((20 + header + len) as u16).to_be_bytes());
        frame.extend((random.next() as u16).to_be_bytes());
        frame.extend([0x40, 0, 61 + me as u8, 6, 0, 0]);
        frame.extend(ends[0]);
        frame.extend(ends[1]);
        frame.extend(ports[0].to_be_bytes());
        frame.extend(ports[1].to_be_bytes());
        frame.extend(self.seq[me].to_be_bytes());
        let ack = if flags & ACK == 0 {
            0
        } else {
            self.seq[1 - me]
        };
        frame.extend(ack.to_be_bytes());
        frame.extend([((header / 4) << 4) as u8, flags]);
        frame.extend([1, 0xf6, 0, 0, 0, 0]);
        frame.extend(options);
        frame.extend(self.stamps[me].to_be_bytes());
        frame.extend(self.stamps[1 - me].to_be_bytes());
        frame.resize(14 + 20 + header, 0);
        for _ in 0..len.div_ceil(8) {
            frame.extend(random.next().to_be_bytes());
        }
        frame.truncate(14 + 20 + header + len);
        let counted = len as u32 + u32::from(flags & (SYN | FIN) != 0);
        self.seq[me] = self.seq[me].wrapping_add(counted);
    }
}

/// Sends all connections, many at a time; how many were reset.
#[expect(clippy::disallowed_methods, reason = "paces the packets")]
fn play(wire: &mut Capture<Active>, connections: u32, rate: u32) -> Result<usize> {
    let mut random = Random(1);
    let mut open: Vec<Talk> = Vec::with_capacity(OPEN);
    let (mut begun, mut resets, mut packets) = (0, 0, 0_u64);
    let mut frame = Vec::with_capacity(2048);
    let start = Instant::now();
    while begun < connections || !open.is_empty() {
        while open.len() < OPEN && begun < connections {
            let talk = Talk::new(begun, &mut random);
            resets += usize::from(talk.reset);
            open.push(talk);
            begun += 1;
        }
        let turn = (random.next() % open.len() as u64) as usize;
        if open[turn].next(&mut random, &mut frame).is_none() {
            open.swap_remove(turn);
            continue;
        }
        wire.sendpacket(frame.as_slice()).context("sending")?;
        packets += 1;
        if packets.is_multiple_of(64) {
            let due = Duration::from_secs_f64(packets as f64 / f64::from(rate));
            std::thread::sleep(due.saturating_sub(start.elapsed()));
        }
    }
    Ok(resets)
}
