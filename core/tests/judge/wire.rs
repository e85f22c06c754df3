//! A straight path of vantages on which a test sends packets and so knows who sent what.

use std::net::IpAddr;

use parallax_core::digest::{Digest, IpFields, LinkFields, TcpFlags, TcpOptions, Timestamps};
use parallax_core::evidence::surroundings;
use parallax_core::judge::{self, Judged};
use parallax_core::report::Side;
use parallax_core::testimony::{Act, Oath, Statement, TapPlace, Watch};
use parallax_core::time::{MILLISECOND, SECOND};
use parallax_core::{
    CaptureTime, Coverage, Endpoint, FlowEvidence, FourTuple, Nearby, Selection, TcpSeq, Testimony,
    Vantage, VantageEvidence, VantageKind,
};

pub use crate::chance::Chance;
pub use crate::segment::{Segment, flags};

pub const CLIENT: &str = "192.0.2.10";
pub const SERVER: &str = "198.51.100.20";
/// 2026-01-02T03:04:05Z.
const EPOCH: i64 = 1_767_323_045_000_000_000;

struct Point {
    vantage: Vantage,
    clock: i64,
    selection: Selection,
    capture: Option<(i64, i64)>,
    segments: Vec<Digest>,
    nearby: Vec<Digest>,
    forget: bool,
    link: Option<[u8; 6]>,
    testimony: Testimony,
    doubled: bool,
    /// Share of packets that the capture loses.
    loss: f64,
}

/// Vantages in a row, a router between each two and 1 ms of delay.
pub struct Wire {
    points: Vec<Point>,
    now: i64,
    pub tuple: FourTuple,
    neighbours: u16,
    next: [u32; 2],
    ip_ids: [u16; 2],
    configured: Option<Vec<usize>>,
    chance: Chance,
    /// Hops between two neighbouring vantages.
    hops: u8,
}

impl Wire {
    /// Names from the client's side; the first and the last run on the hosts if they end in `@`.
    pub fn new(names: &[&str]) -> Self {
        let points = names
            .iter()
            .enumerate()
            .map(|(place, name)| Point {
                vantage: vantage(name, place == 0),
                clock: 0,
                selection: Selection::All,
                capture: None,
                segments: Vec::new(),
                nearby: Vec::new(),
                forget: false,
                link: None,
                testimony: Testimony::default(),
                doubled: false,
                loss: 0.0,
            })
            .collect();
        Self {
            points,
            now: EPOCH,
            tuple: FourTuple::new(endpoint(CLIENT, 40_000), endpoint(SERVER, 80)),
            neighbours: 0,
            next: [1000, 500_000],
            ip_ids: [100, 9000],
            configured: None,
            chance: Chance(1),
            hops: 1,
        }
    }

    pub fn seed(&mut self, seed: u64) {
        self.chance = Chance(seed);
    }

    /// The capture at a vantage loses this share of its packets.
    pub fn lose(&mut self, place: usize, share: f64) {
        self.points[place].loss = share;
    }

    pub fn set_clock(&mut self, place: usize, ahead: i64) {
        self.points[place].clock = ahead;
    }

    pub fn is_host(&self, name: &str) -> bool {
        matches!(
            self.points[self.place(name)].vantage.kind,
            VantageKind::Host { .. }
        )
    }

    /// Hops that a packet from a host has come at its n-th vantage.
    pub fn hops_to(&self, place: usize) -> u8 {
        self.hops * place as u8
    }

    pub fn set_hops(&mut self, hops: u8) {
        self.hops = hops;
    }

    pub fn place(&self, name: &str) -> usize {
        self.points
            .iter()
            .position(|point| point.vantage.name == name)
            .unwrap_or_else(|| panic!("no vantage {name}"))
    }

    /// Sets a vantage's clock ahead by so many nanoseconds.
    pub fn clock(&mut self, name: &str, ahead: i64) {
        let place = self.place(name);
        self.points[place].clock = ahead;
    }

    /// The capture at a vantage ends now.
    pub fn stop(&mut self, name: &str) {
        let place = self.place(name);
        self.points[place].capture = Some((EPOCH - MILLISECOND, self.now));
        self.points[place].forget = true;
    }

    /// The capture at a vantage records nothing from now on, and knows nothing of it.
    pub fn deafen(&mut self, name: &str) {
        let place = self.place(name);
        self.points[place].forget = true;
    }

    pub fn listen(&mut self, name: &str) {
        let place = self.place(name);
        self.points[place].forget = false;
    }

    pub fn configure(&mut self, names: &[&str]) {
        self.configured = Some(names.iter().map(|name| self.place(name)).collect());
    }

    pub fn wait(&mut self, millis: i64) {
        self.now += millis * MILLISECOND;
    }

    /// The next sequence number of a side.
    pub fn next(&self, side: Side) -> u32 {
        self.next[side as usize]
    }

    pub fn set_next(&mut self, side: Side, number: u32) {
        self.next[side as usize] = number;
    }

    /// A side's host sends a segment, which passes all vantages.
    pub fn send(&mut self, side: Side, segment: Segment) {
        let all = self.points.len();
        self.emit(side, segment, 0, all, true);
    }

    /// A side's host sends a segment that gets lost behind `last`.
    pub fn send_as_far_as(&mut self, side: Side, segment: Segment, last: &str) {
        let until = self.travelled(side, last) + 1;
        self.emit(side, segment, 0, until, true);
    }

    /// A box forges a segment in `side`'s name; `first` is the first vantage that it passes.
    pub fn forge(&mut self, side: Side, segment: Segment, first: &str) {
        let from = self.travelled(side, first);
        let all = self.points.len();
        self.emit(side, segment, from, all, false);
    }

    /// Like [`Self::forge`], from a link-layer address of its own at the first vantage.
    pub fn forge_from(&mut self, side: Side, segment: Segment, first: &str, link: [u8; 6]) {
        let place = self.place(first);
        let kept = self.points[place].link.replace(link);
        self.forge(side, segment, first);
        self.points[place].link = kept;
    }

    /// The vantage is a router that records packets as they come and as they go.
    pub fn double(&mut self, name: &str) {
        let place = self.place(name);
        self.points[place].doubled = true;
    }

    /// The vantage stands behind a translator: it knows the connection under other addresses.
    pub fn translate(&mut self, name: &str) {
        let place = self.place(name);
        self.points[place].segments.clear();
    }

    pub fn links(&mut self) {
        for (index, point) in self.points.iter_mut().enumerate() {
            point.link = Some([2, 0, 0, 0, 0, index as u8]);
        }
    }

    /// The kernel under a host vantage has a witness, from the beginning until now.
    pub fn witness(&mut self, name: &str, tap: TapPlace) {
        let watch = Watch {
            from: CaptureTime::from_nanos(EPOCH - 10 * SECOND),
            until: CaptureTime::from_nanos(EPOCH + 1000 * SECOND),
            lost: 0,
            oath: Oath::Everything,
            tap,
        };
        self.testimony(name).watches.push(watch);
    }

    pub fn testimony(&mut self, name: &str) -> &mut Testimony {
        let place = self.place(name);
        &mut self.points[place].testimony
    }

    /// The kernel says now that its TCP did something with a RST in `sender`'s name.
    pub fn says(&mut self, name: &str, sender: Side, act: Act) {
        let tuple = match sender {
            Side::Client => self.tuple,
            Side::Server => self.tuple.reversed(),
        };
        let time = CaptureTime::from_nanos(self.now);
        self.testimony(name).statements.push(Statement {
            time,
            error: 1000,
            tuple,
            act,
        });
    }

    /// The latest segment at a vantage, to be looked at or changed.
    pub fn latest(&mut self, name: &str) -> &mut Digest {
        let place = self.place(name);
        let segments = &mut self.points[place].segments;
        segments.last_mut().expect("a segment")
    }

    fn travelled(&self, side: Side, name: &str) -> usize {
        let place = self.place(name);
        match side {
            Side::Client => place,
            Side::Server => self.points.len() - 1 - place,
        }
    }

    fn emit(&mut self, side: Side, segment: Segment, from: usize, until: usize, real: bool) {
        let digest = self.digest(side, segment, real);
        for step in from..until {
            let place = match side {
                Side::Client => step,
                Side::Server => self.points.len() - 1 - step,
            };
            let point = &mut self.points[place];
            if point.forget || self.chance.share() < point.loss {
                continue;
            }
            let mut seen = digest;
            let hops = if real { step } else { step - from };
            seen.ip.ttl = digest.ip.ttl - hops as u8 * self.hops;
            seen.link.source = point.link;
            let travel = (step - from) as i64 * MILLISECOND;
            seen.time = CaptureTime::from_nanos(self.now + travel + point.clock);
            point.segments.push(seen);
            if point.doubled {
                seen.ip.ttl -= 1;
                seen.time = seen.time.plus(20_000);
                point.segments.push(seen);
            }
        }
        self.now += (until - from) as i64 * MILLISECOND;
    }

    fn digest(&mut self, side: Side, segment: Segment, real: bool) -> Digest {
        let tuple = match side {
            Side::Client => self.tuple,
            Side::Server => self.tuple.reversed(),
        };
        let ack_flag = segment.flags & TcpFlags::ACK.0 != 0;
        let seq = segment.seq.unwrap_or(self.next[side as usize]);
        let ack = segment.ack.unwrap_or(if ack_flag {
            self.next[side.other() as usize]
        } else {
            0
        });
        let rst = segment.flags & TcpFlags::RST.0 != 0;
        if real && !rst && segment.seq.is_none() {
            let opens = u32::from(segment.flags & TcpFlags::SYN.0 != 0);
            let closes = u32::from(segment.flags & TcpFlags::FIN.0 != 0);
            self.next[side as usize] += segment.len + opens + closes;
        }
        let id = &mut self.ip_ids[side as usize];
        *id = id.wrapping_add(1);
        Digest {
            rst_reason: None,
            time: CaptureTime::from_nanos(self.now),
            tuple,
            seq: TcpSeq(seq),
            ack: TcpSeq(ack),
            flags: TcpFlags(segment.flags),
            window: segment.window,
            payload_len: segment.len,
            payload_hash: (segment.len > 0).then_some(u64::from(seq)),
            options: TcpOptions {
                window_scale: (segment.flags & TcpFlags::SYN.0 != 0).then_some(7),
                timestamps: (!rst).then_some(Timestamps {
                    value: (self.now / MILLISECOND) as u32,
                    echo: 0,
                }),
                ..TcpOptions::default()
            },
            ip: IpFields {
                ttl: segment.ttl,
                id: Some(segment.ip_id.unwrap_or(if rst { 0 } else { *id })),
                dont_fragment: true,
                ..IpFields::default()
            },
            link: LinkFields::default(),
        }
    }

    /// SYN, SYN+ACK, ACK.
    pub fn handshake(&mut self) {
        self.send(Side::Client, flags("S"));
        self.send(Side::Server, flags("SA"));
        self.send(Side::Client, flags("A"));
    }

    /// A request of the client and the server's answer.
    pub fn exchange(&mut self) {
        self.send(Side::Client, flags("PA").len(100));
        self.send(Side::Server, flags("PA").len(900));
        self.send(Side::Client, flags("A"));
    }

    /// Another connection between the same two hosts, from another port, opened and left.
    pub fn neighbour(&mut self) {
        let (tuple, next) = (self.tuple, self.next);
        let marks: Vec<usize> = self
            .points
            .iter()
            .map(|point| point.segments.len())
            .collect();
        self.neighbours += 1;
        self.tuple.src.port += self.neighbours;
        self.next = [77_000, 88_000];
        self.handshake();
        self.exchange();
        self.send(Side::Client, flags("FA"));
        self.send(Side::Server, flags("FA"));
        self.send(Side::Client, flags("A"));
        for (point, mark) in self.points.iter_mut().zip(marks) {
            let other = point.segments.split_off(mark);
            point.nearby.extend(other);
        }
        (self.tuple, self.next) = (tuple, next);
    }

    pub fn evidence(&self) -> FlowEvidence {
        let vantages = self
            .points
            .iter()
            .map(|point| {
                let (from, until) = point
                    .capture
                    .unwrap_or((EPOCH - MILLISECOND, self.now + 1000 * MILLISECOND));
                let mut segments = point.segments.clone();
                segments.sort_by_key(|digest| digest.time);
                VantageEvidence {
                    vantage: point.vantage.clone(),
                    selection: point.selection,
                    complete: Vec::new(),
                    clock: None,
                    coverage: vec![Coverage {
                        from: CaptureTime::from_nanos(from + point.clock),
                        until: CaptureTime::from_nanos(until + point.clock),
                        received: segments.len() as u64,
                        dropped: 0,
                    }],
                    losses: Vec::new(),
                    segments,
                    nearby: nearby(point, self.now),
                    testimony: point.testimony.clone(),
                }
            })
            .collect();
        FlowEvidence {
            flow: self.tuple.flow(),
            vantages,
            configured_path: self.configured.clone(),
            known_ids: Vec::new(),
        }
    }

    pub fn judge(&self) -> Vec<Judged> {
        judge::judge_flow(&self.evidence())
    }
}

fn nearby(point: &Point, now: i64) -> Nearby {
    let (handshakes, others): (Vec<Digest>, Vec<Digest>) = point
        .nearby
        .iter()
        .partition(|digest| digest.flags.has(TcpFlags::SYN));
    let flow = point.segments.first().map(|digest| digest.tuple.flow());
    let around =
        flow.map(|flow| surroundings(std::slice::from_ref(&point.segments), flow)[0].moment);
    let newest = CaptureTime::from_nanos(now + point.clock);
    Nearby::new(around.unwrap_or(newest), &handshakes, &others, &[])
}

fn vantage(name: &str, client_side: bool) -> Vantage {
    let addr = if client_side { CLIENT } else { SERVER };
    match name.strip_suffix('@') {
        Some(name) => Vantage {
            name: name.to_owned(),
            kind: VantageKind::Host {
                addresses: vec![addr.parse().unwrap()],
            },
        },
        None => Vantage {
            name: name.to_owned(),
            kind: VantageKind::Hop,
        },
    }
}

fn endpoint(addr: &str, port: u16) -> Endpoint {
    Endpoint::new(addr.parse::<IpAddr>().unwrap(), port)
}
