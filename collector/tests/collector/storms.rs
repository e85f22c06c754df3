//! Many agents that come back at once, a migration that holds tables while agents send, and agents of other versions.

use std::time::Duration;

use parallax_collector::store::Store;
use parallax_proto::v1::AgentMessage;
use parallax_proto::v1::Hello;
use parallax_proto::v1::agent_message::Message as Said;
use tokio::task::JoinSet;
use tonic::Code;

use crate::agent::{Agent, hello};
use crate::digests::refused;
use crate::server::{Collector, database, plain_database};

/// Agents, each with a run of its own.
const AGENTS: u16 = 300;

fn of(number: u16, name: &str) -> Hello {
    let mut hello = hello(name, 0);
    hello.run_id[..2].copy_from_slice(&number.to_be_bytes());
    hello
}

/// All connect at once, send two digests more than are committed, and hear that they are.
async fn come_all(collector: &Collector, expected: u64) -> Vec<Agent> {
    let url = collector.url();
    let mut coming = JoinSet::new();
    for number in 0..AGENTS {
        let url = url.clone();
        coming.spawn(async move {
            let name = format!("agent-{number}");
            // Refused while too many come: as agents do, once more.
            let mut pause = Duration::from_millis(50);
            let (mut agent, committed) = loop {
                match Agent::connect_to(url.clone(), of(number, &name)).await {
                    Ok(connected) => break connected,
                    Err(status) => {
                        let retried = [Code::Unavailable, Code::ResourceExhausted];
                        assert!(retried.contains(&status.code()), "{status}");
                        tokio::time::sleep(pause).await;
                        pause = (pause * 2).min(Duration::from_secs(2));
                    }
                }
            };
            assert_eq!(committed, expected, "{name}");
            agent.send(committed, &refused(1000 + number, 0)).await;
            agent.committed(committed + 2).await;
            agent
        });
    }
    coming.join_all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hundreds_of_agents_that_come_back_at_once_go_on_where_each_was() {
    let database = database().await;
    let store = Store::open(&database).await.unwrap();
    for round in 0..2 {
        let collector = Collector::start(database.clone()).await;
        let agents = come_all(&collector, 2 * round).await;
        let (code, _) = collector.get("/healthz").await;
        assert_eq!(code, 200);
        collector.stop().await;
        drop(agents);
    }
    let (stored,): (i64,) = sqlx::query_as("SELECT count(*) FROM digest")
        .fetch_one(store.pool())
        .await
        .unwrap();
    assert_eq!(stored, 4 * i64::from(AGENTS));
}

#[tokio::test]
async fn while_a_migration_holds_the_tables_agents_wait_and_nothing_is_lost() {
    let database = database().await;
    let collector = Collector::start(database.clone()).await;
    let store = Store::open(&database).await.unwrap();
    let (mut agent, _) = Agent::connect(&collector, hello("fw-in", 1)).await.unwrap();
    agent.send(0, &refused(40000, 0)).await;
    agent.committed(2).await;
    // What a newer collector's migration may do, slowly.
    let mut migration = store.pool().begin().await.unwrap();
    sqlx::query("ALTER TABLE digest ADD COLUMN later text")
        .execute(&mut *migration)
        .await
        .unwrap();
    agent.send(2, &refused(40001, 0)).await;
    let waits = tokio::time::timeout(Duration::from_secs(3), agent.committed(4)).await;
    assert!(waits.is_err(), "it was stored through a lock");
    let (code, _) = collector.get("/healthz").await;
    assert_eq!(code, 200, "the old collector goes on serving");
    migration.commit().await.unwrap();
    agent.committed(4).await;
    // And an old collector goes on with a table that has a column more.
    agent.send(4, &refused(40002, 0)).await;
    assert_eq!(agent.goodbye().await, 6);
    collector.stop().await;
}

#[tokio::test]
async fn a_collector_does_not_start_on_the_database_of_a_newer_one_and_says_so() {
    let database = database().await;
    let store = Store::open(&database).await.unwrap();
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (99990101000000, 'of a later version', true, '', 0)",
    )
    .execute(store.pool())
    .await
    .unwrap();
    let refused = Store::open(&database).await.err().unwrap().to_string();
    assert!(
        refused.contains("was migrated by a newer parallax-collector")
            && refused.contains("99990101000000"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_newer_agents_message_that_this_collector_does_not_know_is_refused_by_name() {
    let collector = Collector::start(database().await).await;
    let (agent, _) = Agent::connect(&collector, hello("newer", 1)).await.unwrap();
    agent.say_raw(AgentMessage { message: None }).await;
    let status = agent.refusal().await;
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(
        status
            .message()
            .contains("a kind that this collector does not know"),
        "{}",
        status.message()
    );
    collector.stop().await;
}

#[tokio::test]
async fn an_older_agent_that_says_less_is_taken_in() {
    let collector = Collector::start(database().await).await;
    // Without what was added later: version, interfaces, filter, octets, epochs.
    let (mut agent, _) = Agent::connect(&collector, hello("older", 1)).await.unwrap();
    agent.send(0, &refused(40000, 0)).await;
    agent
        .say(Said::Beat(parallax_proto::v1::Beat {
            from: 1,
            until: 2,
            next_number: 2,
            ..Default::default()
        }))
        .await;
    agent.committed(2).await;
    assert_eq!(agent.goodbye().await, 2);
    collector.stop().await;
}

#[tokio::test]
async fn whole_pages_in_the_log_are_packed_with_lz4_where_the_server_can() {
    let target = plain_database().await;
    let store = Store::open(&target).await.unwrap();
    let show = "SHOW wal_compression";
    let (begun,): (String,) = sqlx::query_as(show).fetch_one(store.pool()).await.unwrap();
    let mut connection = store.pool().acquire().await.unwrap();
    let can = sqlx::query("SET wal_compression = 'lz4'")
        .execute(&mut *connection)
        .await
        .is_ok();
    assert_eq!(begun, if can { "lz4" } else { "on" });
}
