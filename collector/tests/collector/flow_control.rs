//! A database that stands still.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parallax_collector::store::Store;

use crate::agent::{Agent, hello};
use crate::digests::{ACK, segment, tuple};
use crate::server::{Collector, database};

const BATCH: u64 = 4096;
const BATCHES: u64 = 400;
/// What may wait: the loader's 2^18, what its two transactions hold, and what is on the way between agent and collector.
const WAITING_MAX: u64 = 1 << 20;

#[tokio::test]
async fn streams_are_read_no_further_than_the_database_can_follow_and_nothing_is_lost() {
    let database = database().await;
    let collector = Collector::start(database.clone()).await;
    let store = Store::open(&database).await.unwrap();
    let (agent, _) = Agent::connect(&collector, hello("fw-in", 1)).await.unwrap();
    let mut frozen = store.pool().begin().await.unwrap();
    sqlx::query("LOCK TABLE run IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *frozen)
        .await
        .unwrap();
    let sent = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&sent);
    let sending = tokio::spawn(async move {
        for batch in 0..BATCHES {
            let digests: Vec<_> = (0..BATCH)
                .map(|step| {
                    segment(
                        tuple(40000 + (step % 64) as u16),
                        batch as i64,
                        ACK,
                        step as u32,
                        0,
                    )
                })
                .collect();
            agent.send(batch * BATCH, &digests).await;
            counter.fetch_add(BATCH, Ordering::Relaxed);
        }
        agent.goodbye().await
    });
    let mut before = u64::MAX;
    while before != sent.load(Ordering::Relaxed) {
        before = sent.load(Ordering::Relaxed);
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    assert!(before > 0 && before < WAITING_MAX, "{before} were taken");
    frozen.rollback().await.unwrap();
    assert_eq!(sending.await.unwrap(), BATCHES * BATCH);
    let (stored,): (i64,) = sqlx::query_as("SELECT sum(segments)::bigint FROM packed")
        .fetch_one(store.pool())
        .await
        .unwrap();
    assert_eq!(stored as u64, BATCHES * BATCH);
    collector.stop().await;
}
