//! An agent that lies, beside honest ones: what it says of its own place is its own loss. The honest ones' verdicts are
//! as they are without it.

use std::time::Duration;

use parallax_collector::clock;
use parallax_collector::store::Store;
use parallax_core::report::{Document, Origin, ResetReport};
use parallax_core::{CaptureTime, Digest};
use parallax_proto::v1::agent_message::Message as Said;
use parallax_proto::v1::{Beat, Hello};
use tonic::Code;

use crate::agent::{Agent, hello};
use crate::digests::{ACK, MS, RST, SYN, at, segment, tuple};
use crate::server::{Collector, database};

const SECOND: i64 = 1_000_000_000;
const YEAR: i64 = 365 * 86_400 * SECOND;

/// A connection that is open, asks, and is reset in the server's name by a box between the two vantages: what `fw-in`
/// sees, and what `fw-out` sees.
fn injected(port: u16, now: CaptureTime) -> (Vec<Digest>, Vec<Digest>) {
    let there = tuple(port);
    let mut seen = vec![
        segment(there, 0, SYN, 100, 0),
        segment(there.reversed(), 1, SYN | ACK, 500, 101),
        segment(there, 2, ACK, 101, 501),
        segment(there, 3, ACK, 101, 501),
        segment(there.reversed(), 4, RST, 501, 0),
    ];
    seen[3].payload_len = 40;
    seen[3].payload_hash = Some(u64::from(port));
    for digest in &mut seen {
        digest.time = now.plus(digest.time.since(at(0)));
        // Equal numbers would make one connection of several.
        digest.seq.0 += u32::from(port) * 70_000;
        digest.ack.0 += u32::from(port) * 70_000;
    }
    seen[0].ack.0 = 0;
    let mut behind = seen[..3].to_vec();
    behind
        .iter_mut()
        .filter(|digest| digest.tuple == there)
        .for_each(|digest| digest.ip.ttl -= 1);
    seen.iter_mut()
        .filter(|digest| digest.tuple != there)
        .for_each(|digest| digest.ip.ttl -= 1);
    seen[4].ip.ttl = 61;
    (seen, behind)
}

/// The two honest agents of a collector.
struct Honest {
    inside: (Agent, u64),
    outside: (Agent, u64),
}

impl Honest {
    async fn connect(collector: &Collector) -> Self {
        let (inside, _) = Agent::connect(collector, hello("fw-in", 1)).await.unwrap();
        let (outside, _) = Agent::connect(collector, hello("fw-out", 2)).await.unwrap();
        Self {
            inside: (inside, 0),
            outside: (outside, 0),
        }
    }

    /// Both tell a connection, and that they watched.
    async fn tell(&mut self, port: u16) {
        let now = clock::wall();
        let (seen, behind) = injected(port, now);
        for ((agent, next), digests) in [(&mut self.inside, seen), (&mut self.outside, behind)] {
            agent.send(*next, &digests).await;
            *next += digests.len() as u64;
            let (from, until) = (now.plus(-200 * MS), now.plus(400 * MS));
            agent.beat(from.nanos(), until.nanos(), *next).await;
            agent.committed(*next).await;
        }
    }
}

/// What is told of the reset at a port, once it has been judged as it is.
async fn verdict(collector: &Collector, port: u16) -> ResetReport {
    let mut last = String::new();
    for _ in 0..300 {
        let (_, body) = collector.get(&format!("/v1/resets?port={port}")).await;
        let document: Document = serde_json::from_str(&body).unwrap();
        let right = document
            .resets
            .iter()
            .find(|reset| reset.origin == Origin::Middlebox);
        if let Some(right) = right {
            assert_eq!(document.resets.len(), 1, "{body}");
            return right.clone();
        }
        last = body;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("no right verdict within 30 s: {last}");
}

fn told(reset: &ResetReport) -> String {
    format!(
        "{:?} {:?} {:?} {:?} {}",
        reset.between, reset.at, reset.seen_at, reset.cause, reset.confidence
    )
}

fn liar(name: &str, run: u8) -> Hello {
    hello(name, run)
}

#[tokio::test]
async fn whatever_a_liar_says_the_honest_agents_verdicts_are_as_without_it() {
    let alone = Collector::with_path(database().await, &["fw-in", "fw-out"]).await;
    let mut honest = Honest::connect(&alone).await;
    honest.tell(41000).await;
    let expected = told(&verdict(&alone, 41000).await);
    alone.stop().await;

    let collector = Collector::with_path(database().await, &["fw-in", "fw-out"]).await;
    let mut honest = Honest::connect(&collector).await;
    let (mut lying, _) = Agent::connect(&collector, liar("liar", 9)).await.unwrap();
    let mut next = 0;
    // Times far ahead and far back, numbers that go back with other contents, watching for ever.
    let now = clock::wall();
    for shift in [100 * YEAR, -50 * YEAR, YEAR, 0] {
        let (seen, _) = injected(42000, now.plus(shift));
        lying.send(next, &seen).await;
        next += seen.len() as u64;
        let (other, _) = injected(42001, now);
        lying.send(0, &other).await;
        lying.committed(next).await;
    }
    lying.beat(i64::MIN, i64::MAX, next).await;
    honest.tell(41000).await;
    assert_eq!(told(&verdict(&collector, 41000).await), expected);
    // What it sent again under old numbers was not taken.
    let (_, body) = collector.get("/v1/resets?port=42001").await;
    let document: Document = serde_json::from_str(&body).unwrap();
    assert!(document.resets.is_empty(), "{body}");
    // Another's place is another's.
    let taken = Agent::connect(&collector, liar("fw-in", 10)).await;
    assert_eq!(taken.err().unwrap().code(), Code::FailedPrecondition);
    let taken = Agent::connect(&collector, liar("other", 1)).await;
    assert_eq!(taken.err().unwrap().code(), Code::InvalidArgument);
    collector.stop().await;
}

#[tokio::test]
async fn a_flood_of_made_up_resets_waits_behind_what_others_bring() {
    const FLOOD: u32 = 20_000;
    let database = database().await;
    let store = Store::open(&database).await.unwrap();
    let collector = Collector::with_path(database, &["fw-in", "fw-out"]).await;
    let mut honest = Honest::connect(&collector).await;
    let (mut lying, _) = Agent::connect(&collector, liar("liar", 9)).await.unwrap();
    let now = clock::wall();
    let made_up = |number: u32| {
        // Below the ports that are asked for.
        let mut tuple = tuple(1024 + (number % 30_000) as u16).reversed();
        tuple.src.addr = std::net::Ipv4Addr::from(0x0a00_0000 + number).into();
        let mut digest = segment(tuple, 0, RST, number, 0);
        digest.time = now.plus(i64::from(number) * 1000);
        digest
    };
    for first in (0..FLOOD).step_by(1000) {
        let part: Vec<Digest> = (first..first + 1000).map(made_up).collect();
        lying.send(u64::from(first), &part).await;
    }
    lying.committed(u64::from(FLOOD)).await;
    let mut waited = Vec::new();
    for port in [41000, 41001, 41002] {
        honest.tell(port).await;
        let reset = verdict(&collector, port).await;
        assert_eq!(reset.seen_at, ["fw-in"]);
        waited.push(without_verdict(&store).await);
    }
    // Otherwise it was no flood.
    assert!(waited.iter().all(|waiting| *waiting > 1000), "{waited:?}");
    collector.stop().await;
}

/// How many flows wait for their first verdict.
async fn without_verdict(store: &Store) -> i64 {
    let (count,): (i64,) = sqlx::query_as(
        "SELECT count(*) FROM docket WHERE NOT EXISTS (SELECT FROM reset WHERE reset.flow = docket.flow)",
    )
    .fetch_one(store.pool())
    .await
    .unwrap();
    count
}

#[tokio::test]
async fn a_beat_that_ends_before_it_begins_or_waits_for_ever_is_refused() {
    let collector = Collector::start(database().await).await;
    let (agent, _) = Agent::connect(&collector, liar("waits", 1)).await.unwrap();
    let sending = async {
        for number in 0..5000_i64 {
            let beat = Beat {
                from: number,
                until: number,
                next_number: u64::MAX,
                ..Beat::default()
            };
            agent.say(Said::Beat(beat)).await;
        }
        agent.refusal().await
    };
    let status = sending.await;
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(
        status.message().contains("too many beats wait"),
        "{}",
        status.message()
    );
    collector.stop().await;
}
