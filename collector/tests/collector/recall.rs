//! Agents are asked what they remember, over one collector or two, and told what to ship.

use std::time::Duration;

use parallax_collector::clock;
use parallax_collector::store::Store;
use parallax_core::report::{Document, ResetReport};
use parallax_core::time::SECOND;
use parallax_core::{CaptureTime, Digest};
use parallax_proto::batch;
use parallax_proto::v1::agent_message::Message as Said;
use parallax_proto::v1::collector_message::Message as Answer;
use parallax_proto::v1::{
    ClockAnswer, Hello, Recall, RecallAnswer, RecalledFlow, SegmentSelection, SelectionChange,
};

use crate::agent::{Agent, hello};
use crate::digests::{at, segment, tuple};
use crate::server::{Collector, database};

const SYN: u16 = 2;
const SYN_ACK: u16 = 18;
const PSH_ACK: u16 = 24;
const RST: u16 = 4;

fn context(vantage: &str, run: u8) -> Hello {
    Hello {
        selection: SegmentSelection::Context.into(),
        ..hello(vantage, run)
    }
}

/// A connection that opens, asks and is reset by somebody in the server's name, a moment ago. `delay`: how much
/// later this vantage sees everything.
fn connection(now: CaptureTime, port: u16, delay: i64) -> Vec<Digest> {
    let there = tuple(port);
    let mut all = vec![
        segment(there, 0, SYN, 100, 0),
        segment(there.reversed(), 1, SYN_ACK, 500, 101),
        segment(there, 2, PSH_ACK, 101, 501),
        segment(there.reversed(), 3, RST, 501, 0),
    ];
    all[2].payload_len = 40;
    for digest in &mut all {
        digest.time = now.plus(digest.time.since(at(0)) + delay);
    }
    all
}

/// Hears on until the collector asks what is remembered; probes of the clock are answered, whose clock is
/// `ahead`.
async fn asked(agent: &mut Agent, ahead: i64) -> Recall {
    loop {
        match agent.hear().await.unwrap() {
            Some(Answer::Recall(recall)) => return recall,
            Some(Answer::ClockProbe(probe)) => {
                let now = clock::wall().nanos() + ahead;
                let stamps = ClockAnswer {
                    probe_sent: probe.sent,
                    received: now,
                    sent: now,
                };
                agent.say(Said::ClockAnswer(stamps)).await;
            }
            Some(_) => {}
            None => panic!("the stream ended"),
        }
    }
}

/// The answer that everything of the asked span is there; `numbers`: of the digests that came with it.
fn whole(recall: &Recall, numbers: (u64, u64)) -> Said {
    Said::RecallAnswer(RecallAnswer {
        id: recall.id,
        first_number: numbers.0,
        next_number: numbers.1,
        from: recall.from,
        until: recall.until,
        complete: true,
        flows: recall
            .flows
            .iter()
            .map(|flow| RecalledFlow {
                flow: Some(flow.clone()),
                held: 3,
                first_seen: recall.from,
                last_seen: recall.until,
            })
            .collect(),
        ..RecallAnswer::default()
    })
}

async fn verdict(collector: &Collector, right: impl Fn(&ResetReport) -> bool) -> ResetReport {
    let mut last = None;
    for _ in 0..400 {
        let (status, body) = collector.get("/v1/resets").await;
        assert_eq!(status, 200, "{body}");
        let document: Document = serde_json::from_str(&body).unwrap();
        last = document.resets.into_iter().next();
        if let Some(report) = last.clone().filter(|report| right(report)) {
            return report;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("not the verdict within eight seconds: {last:#?}");
}

fn says(report: &ResetReport, vantage: &str, words: &str) -> bool {
    let of = |told: &&parallax_core::report::Evidence| told.vantage.as_deref() == Some(vantage);
    let mut told = report.evidence.iter().filter(of);
    told.any(|told| told.text.contains(words))
}

/// The vantage before the firewall sees the reset, the one behind it remembers.
async fn sighted(here: &Collector, there: &Collector, late: bool) -> ResetReport {
    let now = clock::wall().plus(-SECOND);
    let (inside, outside) = (connection(now, 40000, 0), connection(now, 40000, 1000));
    let (mut first, _) = Agent::connect(here, context("fw-in", 1)).await.unwrap();
    let mut second = None;
    if !late {
        second = Some(Agent::connect(there, context("fw-out", 2)).await.unwrap().0);
    }
    first.send(0, &inside).await;
    let covered = (now.plus(-SECOND).nanos(), now.plus(SECOND).nanos());
    first.beat(covered.0, covered.1, 4).await;
    first.committed(4).await;
    let mut second = match second {
        Some(agent) => agent,
        None => Agent::connect(there, context("fw-out", 2)).await.unwrap().0,
    };
    second.send(0, &outside[..2]).await;
    second.beat(covered.0, covered.1, 2).await;
    let recall = asked(&mut second, 0).await;
    assert_eq!(recall.flows, [batch::flow_tuple(tuple(40000).flow())]);
    assert!(recall.from < inside[0].time.nanos() && inside[3].time.nanos() < recall.until);
    // The request never came through: nothing more is held.
    second.say(whole(&recall, (2, 2))).await;
    let report = verdict(here, |report| {
        says(report, "fw-out", "asked for all that it remembers")
    })
    .await;
    first.goodbye().await;
    second.goodbye().await;
    report
}

#[tokio::test]
async fn a_reset_that_one_vantage_saw_is_asked_about_at_the_others_and_memory_attests_absence() {
    let collector = Collector::with_path(database().await, &["fw-in", "fw-out"]).await;
    let report = sighted(&collector, &collector, false).await;
    assert_eq!(
        report.between,
        Some([Some("fw-out".into()), Some("fw-in".into())])
    );
    collector.stop().await;
}

#[tokio::test]
async fn an_agent_that_connects_later_is_asked_too() {
    let collector = Collector::with_path(database().await, &["fw-in", "fw-out"]).await;
    sighted(&collector, &collector, true).await;
    collector.stop().await;
}

#[tokio::test]
async fn agents_of_another_collector_are_asked_too_and_the_verdict_is_the_same_as_with_one() {
    let path = ["fw-in", "fw-out"];
    let one = Collector::with_path(database().await, &path).await;
    let alone = sighted(&one, &one, false).await;
    one.stop().await;
    for late in [false, true] {
        let shared = database().await;
        let here = Collector::with_path(shared.clone(), &path).await;
        let there = Collector::with_path(shared, &path).await;
        let split = sighted(&here, &there, late).await;
        assert_eq!(
            (split.origin, &split.between, split.cause),
            (alone.origin, &alone.between, alone.cause)
        );
        here.stop().await;
        there.stop().await;
    }
}

#[tokio::test]
async fn recalled_digests_come_once_and_in_the_order_of_capture() {
    let database = database().await;
    let collector = Collector::with_path(database.clone(), &["fw-in"]).await;
    let now = clock::wall().plus(-2 * SECOND);
    let mut all = connection(now, 40001, 0);
    // Within the connection, but more than half a second before its reset.
    all[3].time = all[3].time.plus(SECOND);
    let (mut agent, _) = Agent::connect(&collector, context("fw-in", 1))
        .await
        .unwrap();
    agent.send(0, &[all[0], all[1], all[3]]).await;
    let recall = asked(&mut agent, 0).await;
    agent.send(3, &[all[2]]).await;
    agent.say(whole(&recall, (3, 4))).await;
    agent.committed(4).await;
    let store = Store::open(&database).await.unwrap();
    let ask = parallax_collector::store::Ask {
        flow: tuple(40001).flow().hash().cast_signed(),
        moment: None,
    };
    let mut found = Vec::new();
    for _ in 0..200 {
        let gathered = store.gather(&[ask], &[]).await.unwrap().remove(0);
        let evidence = gathered.evidence.unwrap().remove(0);
        let here = &evidence.vantages[0];
        found = here.segments.iter().map(|digest| digest.seq.0).collect();
        if !here.complete.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(found, [100, 500, 101, 501]);
    agent.goodbye().await;
    collector.stop().await;
}

#[tokio::test]
async fn an_agents_clock_is_known_from_the_first_second_and_questions_speak_in_it() {
    let ahead = 3600 * SECOND;
    let database = database().await;
    let collector = Collector::with_path(database.clone(), &["fw-in", "fw-out"]).await;
    let (mut slow, _) = Agent::connect(&collector, context("fw-out", 2))
        .await
        .unwrap();
    let now = clock::wall().plus(-SECOND);
    let (mut first, _) = Agent::connect(&collector, context("fw-in", 1))
        .await
        .unwrap();
    first.send(0, &connection(now, 40002, 0)).await;
    first.committed(4).await;
    let recall = asked(&mut slow, ahead).await;
    assert!(recall.from - ahead < now.nanos() && now.nanos() < recall.until - ahead);
    let store = Store::open(&database).await.unwrap();
    let mut told: Option<(i64, i64)> = None;
    for _ in 0..200 {
        told = sqlx::query_as(
            "SELECT offset_ns, error_ns FROM clock_exchange JOIN vantage ON vantage.id = vantage_id \
             WHERE name = 'fw-out'",
        )
        .fetch_optional(store.pool())
        .await
        .unwrap();
        if told.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (offset, error) = told.expect("an exchange is noted");
    assert!((offset - ahead).abs() <= error, "{offset} ± {error}");
    assert!(error < SECOND, "{error}");
    first.goodbye().await;
    slow.goodbye().await;
    collector.stop().await;
}

async fn policy(agent: &mut Agent) -> (i32, u32) {
    loop {
        if let Some(Answer::Policy(policy)) = agent.hear().await.unwrap() {
            return (policy.selection, policy.sample_one_in);
        }
    }
}

#[tokio::test]
async fn a_policy_reaches_running_agents_of_every_collector_and_those_that_connect_later() {
    let shared = database().await;
    let here = Collector::start(shared.clone()).await;
    let there = Collector::start(shared).await;
    let (mut one, _) = Agent::connect(&here, context("fw-in", 1)).await.unwrap();
    let (mut two, _) = Agent::connect(&there, context("fw-out", 2)).await.unwrap();
    let (status, body) = here
        .put("/v1/policy", r#"{"segments": "sampled:1/10"}"#)
        .await;
    assert_eq!(status, 200, "{body}");
    let sampled = SegmentSelection::Sampled.into();
    assert_eq!(policy(&mut one).await, (sampled, 10));
    assert_eq!(policy(&mut two).await, (sampled, 10));
    let own = r#"{"vantage": "fw-out", "segments": "all"}"#;
    assert_eq!(here.put("/v1/policy", own).await.0, 200);
    assert_eq!(policy(&mut two).await, (SegmentSelection::All.into(), 0));
    let (mut three, _) = Agent::connect(&there, context("server", 3)).await.unwrap();
    assert_eq!(policy(&mut three).await, (sampled, 10));
    let (status, body) = here.put("/v1/policy", r#"{"segments": "some"}"#).await;
    assert_eq!(status, 400, "{body}");
    assert!(body.contains("sampled:1/N"), "{body}");
    let (_, body) = there.get("/v1/policy").await;
    assert_eq!(
        body,
        r#"{"schema":1,"segments":"sampled:1/10","vantages":{"fw-out":"all"}}"#
    );
    for agent in [one, two, three] {
        agent.goodbye().await;
    }
    here.stop().await;
    there.stop().await;
}

#[tokio::test]
async fn what_travelled_when_is_kept_for_the_judge() {
    let database = database().await;
    let collector = Collector::start(database.clone()).await;
    let now = clock::wall();
    let (agent, _) = Agent::connect(&collector, context("fw-in", 1))
        .await
        .unwrap();
    agent.send(0, &connection(now, 40003, 0)).await;
    let until = now.plus(9 * SECOND).nanos();
    agent.beat(now.plus(-SECOND).nanos(), until, 4).await;
    for (from, selection) in [(2, SegmentSelection::All), (5, SegmentSelection::Context)] {
        agent
            .say(Said::SelectionChange(SelectionChange {
                from: now.plus(from * SECOND).nanos(),
                selection: selection.into(),
                sample_one_in: 0,
                next_number: 4,
            }))
            .await;
    }
    agent.goodbye().await;
    let store = Store::open(&database).await.unwrap();
    let ask = parallax_collector::store::Ask {
        flow: tuple(40003).flow().hash().cast_signed(),
        moment: None,
    };
    let gathered = store.gather(&[ask], &[]).await.unwrap().remove(0);
    let evidence = gathered.evidence.unwrap().remove(0);
    let whole = (now.plus(2 * SECOND), now.plus(5 * SECOND - 1));
    assert_eq!(evidence.vantages[0].complete, [whole]);
    let context = parallax_core::Selection::Context;
    assert_eq!(evidence.vantages[0].selection, context);
    collector.stop().await;
}

#[tokio::test]
async fn one_vantage_is_not_taken_twice_over_two_collectors_but_a_run_may_move() {
    let shared = database().await;
    let here = Collector::start(shared.clone()).await;
    let there = Collector::start(shared).await;
    let (_one, _) = Agent::connect(&here, context("fw-in", 1)).await.unwrap();
    let Err(refused) = Agent::connect(&there, context("fw-in", 9)).await else {
        panic!("a second agent of one name was let in");
    };
    assert_eq!(refused.code(), tonic::Code::Unavailable);
    assert!(refused.message().contains("fw-in"), "{refused:?}");
    let moved = Agent::connect(&there, context("fw-in", 1)).await;
    moved.expect("the same run may move").0.goodbye().await;
    there.stop().await;
    here.stop().await;
}
