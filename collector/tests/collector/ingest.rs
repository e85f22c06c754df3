//! The protocol, spoken to a running collector.

use parallax_collector::store::Store;
use parallax_core::Digest;
use parallax_proto::batch;
use parallax_proto::packed::Packer;
use parallax_proto::v1::AgentMessage;
use parallax_proto::v1::agent_message::Message as Said;
use tonic::Code;

use crate::agent::{Agent, hello};
use crate::digests::{at, refused};
use crate::server::{Collector, database};

async fn digests(store: &Store) -> (i64, i64) {
    sqlx::query_as("SELECT count(*), count(DISTINCT number) FROM digest")
        .fetch_one(store.pool())
        .await
        .unwrap()
}

#[tokio::test]
async fn digests_are_committed_once_over_reconnects_and_repetitions() {
    let database = database().await;
    let collector = Collector::start(database.clone()).await;
    let store = Store::open(&database).await.unwrap();
    let (mut agent, committed) = Agent::connect(&collector, hello("fw-in", 1)).await.unwrap();
    assert_eq!(committed, 0);
    agent.send(0, &refused(40000, 0)).await;
    agent.send(0, &refused(40000, 0)).await;
    agent.send(2, &refused(40001, 0)).await;
    agent.committed(4).await;
    drop(agent);
    let (agent, committed) = Agent::connect(&collector, hello("fw-in", 1)).await.unwrap();
    assert_eq!(committed, 4);
    agent.send(2, &refused(40001, 0)).await;
    agent.send(4, &refused(40002, 0)).await;
    assert_eq!(agent.goodbye().await, 6);
    assert_eq!(digests(&store).await, (6, 6));
    collector.stop().await;
}

#[tokio::test]
async fn beats_count_once_and_only_after_their_digests() {
    let database = database().await;
    let collector = Collector::start(database.clone()).await;
    let store = Store::open(&database).await.unwrap();
    let (agent, _) = Agent::connect(&collector, hello("fw-in", 1)).await.unwrap();
    // Ahead of its digests, and again behind them.
    agent.beat(at(0).nanos(), at(200).nanos() - 1, 2).await;
    agent.send(0, &refused(40000, 0)).await;
    agent.beat(at(0).nanos(), at(200).nanos() - 1, 2).await;
    agent.beat(at(200).nanos(), at(400).nanos() - 1, 2).await;
    assert_eq!(agent.goodbye().await, 2);
    let rows: Vec<(i64, i64)> =
        sqlx::query_as("SELECT until_ns - from_ns + 1, received FROM coverage")
            .fetch_all(store.pool())
            .await
            .unwrap();
    assert_eq!(rows, [(400_000_000, 2)]);
    collector.stop().await;
}

#[tokio::test]
async fn a_gap_nonsense_and_a_wrong_order_are_refused_by_name() {
    let collector = Collector::start(database().await).await;
    let (agent, _) = Agent::connect(&collector, hello("gap", 1)).await.unwrap();
    agent.send(5, &refused(40000, 0)).await;
    let status = agent.refusal().await;
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(
        status.message().contains("digests 0 to 4 are missing"),
        "{}",
        status.message()
    );

    let (agent, _) = Agent::connect(&collector, hello("odd", 2)).await.unwrap();
    let mut odd = batch::encode(0, &refused(40000, 0));
    odd.ttl.pop();
    agent.say(Said::Batch(odd)).await;
    let status = agent.refusal().await;
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(
        status.message().contains("`ttl` has 1 entries"),
        "{}",
        status.message()
    );

    let (agent, _) = Agent::connect(&collector, hello("twice", 3)).await.unwrap();
    agent.say(Said::Hello(hello("twice", 3))).await;
    assert_eq!(agent.refusal().await.code(), Code::InvalidArgument);

    let (agent, _) = Agent::connect(&collector, hello("backwards", 4))
        .await
        .unwrap();
    agent.beat(9, 3, 0).await;
    assert_eq!(agent.refusal().await.code(), Code::InvalidArgument);

    for bad in ["", "a\u{7}b"] {
        let refused = Agent::connect(&collector, hello(bad, 5))
            .await
            .err()
            .unwrap();
        assert_eq!(refused.code(), Code::InvalidArgument);
    }
    collector.stop().await;
}

#[tokio::test]
async fn packed_messages_are_taken_and_what_only_looks_so_is_refused() {
    let collector = Collector::start(database().await).await;
    let (mut agent, _) = Agent::connect(&collector, hello("packed", 1))
        .await
        .unwrap();
    let digests: Vec<Digest> = (0..60).flat_map(|port| refused(40000 + port, 0)).collect();
    let batch = AgentMessage {
        message: Some(Said::Batch(batch::encode(0, &digests))),
    };
    let Some(packed) = Packer::new().unwrap().pack(batch).message else {
        panic!("no message");
    };
    assert!(matches!(packed, Said::Packed(_)));
    agent.say(packed).await;
    agent.committed(digests.len() as u64).await;
    // Too large: a frame that states 1 TiB (RFC 8878, 3.1.1), and one that is none.
    let huge = [0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 1, 0, 0];
    for (run, octets, why) in [(2, huge.to_vec(), "more than"), (3, vec![1; 40], "no zstd")] {
        let vantage = format!("packed {run}");
        let (agent, _) = Agent::connect(&collector, hello(&vantage, run))
            .await
            .unwrap();
        agent.say(Said::Packed(octets)).await;
        let status = agent.refusal().await;
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().contains(why), "{}", status.message());
    }
    collector.stop().await;
}

#[tokio::test]
async fn two_agents_with_one_vantage_name_are_told_so() {
    let collector = Collector::start(database().await).await;
    let (first, _) = Agent::connect(&collector, hello("fw-in", 1)).await.unwrap();
    let refused = Agent::connect(&collector, hello("fw-in", 2))
        .await
        .err()
        .unwrap();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(
        refused.message().contains("\"fw-in\""),
        "{}",
        refused.message()
    );
    // The same run again replaces its older stream.
    let (again, _) = Agent::connect(&collector, hello("fw-in", 1)).await.unwrap();
    assert_eq!(first.refusal().await.code(), Code::Aborted);
    again.goodbye().await;
    let (other, _) = Agent::connect(&collector, hello("fw-in", 2)).await.unwrap();
    other.goodbye().await;
    // A run belongs to one vantage for ever.
    let stolen = Agent::connect(&collector, hello("fw-out", 1))
        .await
        .err()
        .unwrap();
    assert_eq!(stolen.code(), Code::InvalidArgument);
    collector.stop().await;
}

#[tokio::test]
async fn a_stopping_collector_tells_its_agents_and_keeps_what_they_sent() {
    let database = database().await;
    let collector = Collector::start(database.clone()).await;
    let (mut agent, _) = Agent::connect(&collector, hello("fw-in", 1)).await.unwrap();
    agent.send(0, &refused(40000, 0)).await;
    agent.committed(2).await;
    let started = tokio::time::Instant::now();
    collector.stop().await;
    assert!(started.elapsed().as_secs() < 4, "{:?}", started.elapsed());
    assert_eq!(agent.refusal().await.code(), Code::Unavailable);
    let collector = Collector::start(database).await;
    let (_, committed) = Agent::connect(&collector, hello("fw-in", 1)).await.unwrap();
    assert_eq!(committed, 2);
}

#[tokio::test]
async fn hundreds_of_batches_from_several_agents_arrive_whole() {
    let database = database().await;
    let collector = Collector::start(database.clone()).await;
    let store = Store::open(&database).await.unwrap();
    let mut agents = Vec::new();
    for run in 1..=4_u8 {
        let hello = hello(&format!("v{run}"), run);
        let (agent, _) = Agent::connect(&collector, hello).await.unwrap();
        agents.push(tokio::spawn(async move {
            for batch in 0..100_u64 {
                let digests: Vec<_> = (0..50)
                    .flat_map(|port| refused(30000 + port, batch as i64))
                    .collect();
                agent.send(batch * 100, &digests).await;
            }
            agent.goodbye().await
        }));
    }
    for agent in agents {
        assert_eq!(agent.await.unwrap(), 10_000);
    }
    assert_eq!(digests(&store).await, (40_000, 10_000));
    collector.stop().await;
}
