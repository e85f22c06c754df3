//! Segments in packed rows, and days in partitions.

use parallax_collector::clock;
use parallax_collector::store::{Ask, Outcome, Source, Store};
use parallax_core::time::SECOND;
use parallax_core::{CaptureTime, Digest, FlowEvidence, FourTuple};

use crate::digests::{ACK, MS, RST, SYN, at, refused, segment, tuple};
use crate::load::{hop, portion};
use crate::server::{database, store};

pub const DAY: i64 = 86_400 * SECOND;
const PSH_ACK: u16 = 24;

/// A connection with a reset at its end: `turns` requests, each with its answer and acknowledgement.
pub fn connection(tuple: FourTuple, millis: i64, turns: u32) -> Vec<Digest> {
    let back = tuple.reversed();
    let mut all = vec![
        segment(tuple, millis, SYN, 100, 0),
        segment(back, millis + 1, SYN | ACK, 500, 101),
    ];
    for turn in 0..turns {
        let now = millis + 2 + i64::from(turn) * 3;
        let mut ask = segment(tuple, now, PSH_ACK, 101 + turn * 40, 501 + turn * 40);
        let mut answer = segment(back, now + 1, PSH_ACK, 501 + turn * 40, 141 + turn * 40);
        for (digest, side) in [(&mut ask, 0), (&mut answer, 1)] {
            digest.payload_len = 40;
            digest.payload_hash = Some(u64::from(turn) * 2 + side + 1);
        }
        let ack = segment(tuple, now + 2, ACK, 141 + turn * 40, 541 + turn * 40);
        all.extend([ask, answer, ack]);
    }
    let last = millis + 2 + i64::from(turns) * 3;
    all.push(segment(back, last, RST, 501 + turns * 40, 0));
    all
}

/// As if captured so much later.
pub fn later(mut digests: Vec<Digest>, by: i64) -> Vec<Digest> {
    for digest in &mut digests {
        digest.time = digest.time.plus(by);
    }
    digests
}

async fn evidence(store: &Store, port: u16) -> FlowEvidence {
    let ask = Ask {
        flow: tuple(port).flow().hash().cast_signed(),
        moment: None,
    };
    let mut gathered = store.gather(&[ask], &[]).await.unwrap();
    gathered.remove(0).evidence.unwrap().remove(0)
}

/// The segments of the flow itself at the first vantage.
async fn own(store: &Store, port: u16) -> Vec<Digest> {
    let mut all = evidence(store, port).await.vantages.remove(0).segments;
    all.retain(|digest| digest.tuple.flow() == tuple(port).flow());
    all
}

async fn count(store: &Store, sql: &'static str) -> i64 {
    let (count,): (i64,) = sqlx::query_as(sql).fetch_one(store.pool()).await.unwrap();
    count
}

#[tokio::test]
async fn interleaved_connections_stored_in_parts_come_back_whole_and_in_order() {
    let store = store().await;
    let run = store.register(&hop("fw-in", 1)).await.unwrap();
    let mut all: Vec<Digest> = (0..4_u16)
        .flat_map(|port| connection(tuple(40000 + port), i64::from(port), 100))
        .collect();
    all.sort_by_key(|digest| digest.time);
    for (index, part) in all.chunks(500).enumerate() {
        let part = portion(run, index as u64 * 500, part.to_vec());
        // What is handed over again is known.
        store.load(&[&part, &part]).await.unwrap();
        let again = store.load(&[&part]).await.unwrap();
        assert_eq!(again.rows, 0);
    }
    let segments = count(&store, "SELECT sum(segments)::bigint FROM packed").await;
    assert_eq!(segments, 4 * 300);
    assert!(count(&store, "SELECT count(*) FROM packed").await < 32);
    assert_eq!(count(&store, "SELECT count(*) FROM digest").await, 4 * 3);
    for port in 40000..40004 {
        let of_port = |digest: &&Digest| digest.tuple.flow() == tuple(port).flow();
        let sent: Vec<Digest> = all.iter().filter(of_port).copied().collect();
        assert_eq!(own(&store, port).await, sent);
    }
}

#[tokio::test]
async fn a_connection_met_in_mid_stream_under_another_name_is_found_by_its_payload() {
    let store = store().await;
    let here = store.register(&hop("client", 1)).await.unwrap();
    let there = store.register(&hop("server", 2)).await.unwrap();
    let mut translated = tuple(61000);
    translated.src.addr = "203.0.113.9".parse().unwrap();
    // Neither side has the handshake; what is stored at once begins elsewhere on each side.
    let seen = connection(tuple(40000), 0, 400).split_off(300);
    let mut other = connection(translated, 1, 400).split_off(437);
    other.pop();
    store.load(&[&portion(here, 0, seen)]).await.unwrap();
    for (index, part) in other.chunks(250).enumerate() {
        let part = portion(there, index as u64 * 250, part.to_vec());
        store.load(&[&part]).await.unwrap();
    }
    let evidence = evidence(&store, 40000).await;
    assert_eq!(evidence.vantages[1].segments, other);
}

#[tokio::test]
async fn of_crowded_neighbours_the_segments_nearest_to_the_reset_are_gathered() {
    let store = store().await;
    let run = store.register(&hop("fw-in", 1)).await.unwrap();
    let mut all = later(connection(tuple(40000), 0, 5), SECOND);
    let moment = all.last().unwrap().time;
    for neighbour in 1..7_u16 {
        // Some end before the reset, some begin after it.
        let from = i64::from(neighbour) * 280 * MS;
        let mut other = later(
            connection(tuple(40000 + neighbour), 0, 90 * u32::from(neighbour)),
            from,
        );
        for digest in &mut other {
            digest.seq.0 += 70_000 * u32::from(neighbour);
            digest.ack.0 += 70_000 * u32::from(neighbour);
            digest.payload_hash = digest
                .payload_hash
                .map(|hash| hash + 10_000 * u64::from(neighbour));
        }
        all.extend(other);
    }
    all.sort_by_key(|digest| digest.time);
    // Many rows, of which few are near.
    for (index, part) in all.chunks(60).enumerate() {
        let part = portion(run, index as u64 * 60, part.to_vec());
        store.load(&[&part]).await.unwrap();
    }
    let distance = |digest: &Digest| digest.time.since(moment).abs();
    let own = |digest: &&Digest| digest.tuple.flow() == tuple(40000).flow();
    let mut nearest: Vec<i64> = all
        .iter()
        .filter(|digest| !own(digest) && digest.flags.0 & SYN == 0)
        .map(distance)
        .collect();
    nearest.sort_unstable();
    nearest.truncate(256);
    let nearby = evidence(&store, 40000).await.vantages.remove(0).nearby;
    let others = nearby.iter().skip(nearby.handshakes().len());
    let mut found: Vec<i64> = others.map(distance).collect();
    found.sort_unstable();
    assert_eq!(found, nearest);
}

#[tokio::test]
async fn a_rotten_packed_row_is_refused_by_table_and_column_and_for_its_flow_only() {
    let store = store().await;
    let run = store.register(&hop("fw-in", 1)).await.unwrap();
    let mut all = connection(tuple(40000), 0, 9);
    let mut sound = connection(tuple(40001), 90_000, 9);
    for digest in &mut sound {
        digest.seq.0 += 70_000;
        digest.ack.0 += 70_000;
        digest.payload_hash = digest.payload_hash.map(|hash| hash + 1000);
    }
    all.extend(sound);
    store.load(&[&portion(run, 0, all)]).await.unwrap();
    sqlx::query("UPDATE packed SET octets = substr(octets, 1, 40) WHERE first_number = 2")
        .execute(store.pool())
        .await
        .unwrap();
    let asks = [40000, 40001].map(|port| Ask {
        flow: tuple(port).flow().hash().cast_signed(),
        moment: None,
    });
    let gathered = store.gather(&asks, &[]).await.unwrap();
    let refused = gathered[0].evidence.as_ref().unwrap_err().to_string();
    assert!(
        refused.contains("table packed, run 1 number 2: column octets holds"),
        "{refused}"
    );
    assert_eq!(gathered[1].evidence.as_ref().unwrap().len(), 1);
}

/// From the connection of the other digests to now.
pub fn until_now() -> i64 {
    clock::wall().since(at(0))
}

async fn days(store: &Store) -> Vec<i32> {
    let rows: Vec<(i32,)> = sqlx::query_as("SELECT day FROM day ORDER BY day")
        .fetch_all(store.pool())
        .await
        .unwrap();
    rows.into_iter().map(|(day,)| day).collect()
}

pub fn day_of(time: CaptureTime) -> i32 {
    (time.nanos() / DAY) as i32
}

#[tokio::test]
async fn late_evidence_opens_its_day_and_clocks_that_lie_open_none() {
    let store = store().await;
    let run = store.register(&hop("fw-in", 1)).await.unwrap();
    let late = later(connection(tuple(40000), 0, 9), until_now() - 3 * DAY);
    let day = day_of(late[0].time);
    let mut all = late.clone();
    for year in 1..40_i64 {
        all.extend(later(refused(41000, 0), year * 365 * DAY));
        all.extend(later(connection(tuple(42000), 0, 2), -year * 365 * DAY));
    }
    store.load(&[&portion(run, 0, all)]).await.unwrap();
    let opened = days(&store).await;
    assert!(opened.len() <= 2 && opened.contains(&day), "{opened:?}");
    assert!(count(&store, "SELECT count(*) FROM digest WHERE day = 0").await > 70);
    assert_eq!(own(&store, 40000).await, late);
    assert_eq!(
        own(&store, 42000).await.len(),
        39 * 9,
        "what has no day of its own is found however far away"
    );
}

#[tokio::test]
async fn of_a_connection_that_was_reset_days_ago_what_came_days_later_is_left_out() {
    let store = store().await;
    let (now, ago) = (until_now(), until_now() - 5 * DAY);
    let early = later(connection(tuple(40000), 0, 3), ago);
    let all = [early.clone(), later(connection(tuple(40000), 0, 3), now)].concat();
    let run = store.register(&hop("fw-in", 1)).await.unwrap();
    store.load(&[&portion(run, 0, all.clone())]).await.unwrap();
    let mut ask = Ask {
        flow: tuple(40000).flow().hash().cast_signed(),
        moment: None,
    };
    for (moment, wanted) in [(None, &all), (Some(at(0).plus(ago)), &early)] {
        ask.moment = moment;
        let gathered = store.gather(&[ask], &[]).await.unwrap().remove(0);
        let evidence = gathered.evidence.unwrap().remove(0);
        assert_eq!(&evidence.vantages[0].segments, wanted);
    }
}

#[tokio::test]
async fn a_day_that_was_dropped_comes_back_with_new_evidence_though_others_think_that_it_is_there()
{
    let database = database().await;
    let (one, other) = (
        Store::open(&database).await.unwrap(),
        Store::open(&database).await.unwrap(),
    );
    let run = one.register(&hop("fw-in", 1)).await.unwrap();
    let late = |port| later(connection(tuple(port), 0, 9), until_now() - 5 * DAY);
    let now = later(connection(tuple(40001), 0, 9), until_now());
    let first = [late(40000), now].concat();
    let next = first.len() as u64;
    one.load(&[&portion(run, 0, first)]).await.unwrap();
    let before = days(&one).await;
    let dropped = other.drop_days(4).await.unwrap();
    assert!(!dropped.is_empty() && dropped.iter().all(|day| before.contains(day)));
    assert_eq!(other.drop_days(4).await.unwrap(), Vec::<i32>::new());
    let ask = |port| Ask {
        flow: tuple(port).flow().hash().cast_signed(),
        moment: None,
    };
    let gone = one.gather(&[ask(40000)], &[]).await.unwrap().remove(0);
    assert!(gone.evidence.unwrap().is_empty());
    assert_eq!(own(&one, 40001).await.len(), 30);
    // This one has not heard of it.
    let again = late(40002);
    let loaded = one
        .load(&[&portion(run, next, again.clone())])
        .await
        .unwrap();
    assert_eq!(
        loaded.outcomes,
        [Outcome::Committed(next + again.len() as u64)]
    );
    assert_eq!(own(&one, 40002).await, again);
}

#[tokio::test]
async fn an_old_file_is_kept_until_its_run_has_ended_for_as_long() {
    let store = store().await;
    let mut file = hop("fw-in", 1);
    file.source = Source::File;
    let run = store.register(&file).await.unwrap();
    let all = connection(tuple(40000), 0, 9);
    let mut portion = portion(run, 0, all.clone());
    portion.finished = true;
    store.load(&[&portion]).await.unwrap();
    store.drop_days(7).await.unwrap();
    assert_eq!(own(&store, 40000).await, all);
    sqlx::query("UPDATE run SET finished_at = now() - interval '9 days'")
        .execute(store.pool())
        .await
        .unwrap();
    store.drop_days(7).await.unwrap();
    for table in [
        "SELECT count(*) FROM digest",
        "SELECT count(*) FROM packed",
        "SELECT count(*) FROM payload",
    ] {
        assert_eq!(count(&store, table).await, 0, "{table}");
    }
}

/// Found by the test below on a slow machine.
#[tokio::test]
async fn a_day_that_is_seen_before_its_partitions_is_no_reason_to_refuse_digests() {
    let store = Store::open(&database().await).await.unwrap();
    let run = store.register(&hop("v", 1)).await.unwrap();
    let all = later(connection(tuple(40000), 0, 3), until_now() - 3 * DAY);
    sqlx::query("INSERT INTO day (day) VALUES ($1)")
        .bind(all[0].time.nanos().div_euclid(DAY) as i32)
        .execute(store.pool())
        .await
        .unwrap();
    let error = store.load(&[&portion(run, 0, all)]).await.unwrap_err();
    assert!(error.to_string().contains("no partition"), "{error}");
    assert!(!error.is_refusal(), "{error}");
}

#[tokio::test]
async fn many_collectors_open_and_drop_days_while_others_store_and_ask() {
    let database = database().await;
    let mut working = tokio::task::JoinSet::new();
    let from = until_now();
    for worker in 0..4_u16 {
        let store = Store::open(&database).await.unwrap();
        working.spawn(async move {
            let run = store
                .register(&hop(&format!("v{worker}"), 1 + u128::from(worker)))
                .await
                .unwrap();
            let mut next = 0;
            for turn in 0..12_i64 {
                let port = 40000 + worker * 100 + turn as u16;
                let all = later(connection(tuple(port), 0, 3), from - turn % 4 * DAY);
                let count = all.len() as u64;
                // A transaction that gives up on a lock, or loses to another, is tried again, as a stream is.
                loop {
                    match store.load(&[&portion(run, next, all.clone())]).await {
                        Ok(_) => break,
                        Err(error) => assert!(!error.is_refusal(), "{error}"),
                    }
                }
                next += count;
                let ask = Ask {
                    flow: tuple(port).flow().hash().cast_signed(),
                    moment: None,
                };
                store.gather(&[ask], &[]).await.unwrap();
                if worker == 0 && turn % 3 == 2 {
                    // It may find no moment to do it.
                    let _ = store.drop_days(2).await;
                }
            }
            next
        });
    }
    let mut stored = 0;
    while let Some(next) = working.join_next().await {
        stored += next.unwrap();
    }
    assert_eq!(stored, 4 * 12 * 12);
    let store = Store::open(&database).await.unwrap();
    let committed = count(&store, "SELECT sum(committed)::bigint FROM run").await;
    assert_eq!(committed, stored as i64);
}
