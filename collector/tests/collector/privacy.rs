//! Removing an address, and days where there is no room.

use std::net::IpAddr;

use parallax_collector::clock;
use parallax_collector::store::Store;
use parallax_core::time::SECOND;
use parallax_core::{CaptureTime, Digest};

use crate::digests::{at, tuple};
use crate::load::{hop, portion};
use crate::packed::connection;
use crate::server::store;

const GONE: &str = "203.0.113.9";

async fn count(store: &Store, sql: &'static str) -> i64 {
    let (count,): (i64,) = sqlx::query_as(sql).fetch_one(store.pool()).await.unwrap();
    count
}

async fn flows(store: &Store) -> i64 {
    count(
        store,
        "SELECT count(*) FROM (SELECT flow FROM digest UNION SELECT flow FROM packed UNION SELECT flow FROM payload) AS all_flows",
    )
    .await
}

#[tokio::test]
async fn an_erased_address_leaves_nothing_and_others_stay() {
    let store = store().await;
    let run = store.register(&hop("fw-in", 1)).await.unwrap();
    let mut of_gone = tuple(50000);
    of_gone.src.addr = GONE.parse().unwrap();
    let mut midstream = tuple(50001);
    midstream.src.addr = GONE.parse().unwrap();
    // Of one connection only data was seen: no column has its addresses.
    let mut data = connection(midstream, 2, 20).split_off(2);
    data.pop();
    let mut all: Vec<Digest> = connection(tuple(40000), 0, 20);
    all.extend(connection(of_gone, 1, 20));
    all.extend(data);
    all.sort_by_key(|digest| digest.time);
    store.load(&[&portion(run, 0, all)]).await.unwrap();
    // A verdict of another flow that names it, and one that names a longer address.
    for (identity, text) in [
        (1_i64, "sent by 203.0.113.9:443"),
        (2, "sent by 203.0.113.90:443"),
    ] {
        sqlx::query(
            "INSERT INTO reset (flow, identity, id, time_ns, src, dst, sport, dport, origin, cause, seen_at, settled, report) \
             VALUES (7, $1, gen_random_uuid(), 0, '192.0.2.1', '192.0.2.2', 1, 2, 'endpoint', 'unknown', '{}', true, \
                 jsonb_build_object('text', $2::text))",
        )
        .bind(identity)
        .bind(text)
        .execute(store.pool())
        .await
        .unwrap();
    }
    assert_eq!(flows(&store).await, 3);
    let gone: IpAddr = GONE.parse().unwrap();
    let erased = store.erase(gone).await.unwrap();
    assert_eq!((erased.flows, erased.resets), (2, 1), "{erased:?}");
    assert!(erased.segments >= 4, "{erased:?}");
    assert_eq!(flows(&store).await, 1);
    assert_eq!(
        count(&store, "SELECT identity FROM reset WHERE flow = 7").await,
        2
    );
    assert_eq!(store.erase(gone).await.unwrap().flows, 0);
}

#[tokio::test]
async fn the_oldest_days_go_while_the_database_is_too_large() {
    let store = store().await;
    let run = store.register(&hop("fw-in", 1)).await.unwrap();
    let today = clock::wall().nanos();
    let mut number = 0;
    for ago in [5, 3, 0] {
        let moment = CaptureTime::from_nanos(today - ago * 86_400 * SECOND);
        let by = moment.since(at(0));
        let mut digests = connection(tuple(40000), 0, 2);
        for digest in &mut digests {
            digest.time = digest.time.plus(by);
        }
        let sent = digests.len() as u64;
        store.load(&[&portion(run, number, digests)]).await.unwrap();
        number += sent;
    }
    let days = "SELECT count(DISTINCT day) FROM digest WHERE day > 0";
    assert_eq!(count(&store, days).await, 3);
    assert!(store.drop_days_above(1 << 40).await.unwrap().is_empty());
    assert_eq!(store.drop_days_above(1).await.unwrap().len(), 2);
    assert_eq!(count(&store, days).await, 1);
}
