//! How Postgres plans the questions of a case.

use std::collections::HashSet;

use parallax_collector::store::Store;
use parallax_core::time::SECOND;
use parallax_core::{CaptureTime, Digest};

use crate::digests::{MS, at, tuple};
use crate::load::{hop, portion};
use crate::packed::{DAY, connection, day_of, later, until_now};
use crate::server::store;

/// The plan of a question as the service has it, and what it read.
async fn plan(store: &Store, sql: &str, values: &str) -> String {
    let options = "ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF";
    explained(store, options, (sql, values)).await
}

/// The plan of a question with some values.
pub async fn explained(store: &Store, options: &str, (sql, values): (&str, &str)) -> String {
    let mut connection = store.pool().acquire().await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!("PREPARE question AS {sql}")))
        .execute(&mut *connection)
        .await
        .unwrap();
    let explain = format!("EXPLAIN ({options}) EXECUTE question({values})");
    let lines: Vec<(String,)> = sqlx::query_as(sqlx::AssertSqlSafe(explain))
        .fetch_all(&mut *connection)
        .await
        .unwrap();
    sqlx::raw_sql("DEALLOCATE question")
        .execute(&mut *connection)
        .await
        .unwrap();
    let lines: Vec<String> = lines.into_iter().map(|(line,)| line).collect();
    lines.join("\n")
}

/// A scan of an index without a range: it would read all of it, however large it has become.
fn unbounded(plan: &str) -> Option<&str> {
    let nodes: Vec<&str> = plan.split("->").collect();
    let reads_index = |node: &&&str| {
        let kind = node.trim_start();
        ["Index Scan", "Index Only Scan", "Bitmap Index Scan"]
            .iter()
            .any(|scan| kind.starts_with(scan))
    };
    let mut scans = nodes.iter().filter(reads_index);
    scans.find(|node| !node.contains("Index Cond:")).copied()
}

/// The partitions of days that a plan reads.
fn days_read(plan: &str) -> HashSet<&str> {
    let is_partition = |word: &&str| {
        let mut parts = word.splitn(2, '_');
        let table = parts
            .next()
            .is_some_and(|table| ["digest", "packed", "payload"].contains(&table));
        table
            && parts
                .next()
                .is_some_and(|rest| rest.len() == 8 && rest.parse::<u32>().is_ok())
    };
    plan.split_whitespace().filter(is_partition).collect()
}

/// Fifty connections on each of the days up to now.
async fn fill_eight_days(store: &Store, now: i64) {
    let run = store.register(&hop("fw-in", 1)).await.unwrap();
    let mut next = 0;
    for back in 0..8 {
        let all: Vec<Digest> = (0..50)
            .flat_map(|port| later(connection(tuple(40000 + port), 0, 9), now - back * DAY))
            .collect();
        store
            .load(&[&portion(run, next, all.clone())])
            .await
            .unwrap();
        next += all.len() as u64;
    }
    sqlx::query("ANALYZE digest, packed, payload")
        .execute(store.pool())
        .await
        .unwrap();
}

#[tokio::test]
async fn the_questions_of_a_case_read_index_ranges_of_its_days_only() {
    let store = store().await;
    let now = until_now();
    fill_eight_days(&store, now).await;
    let moment = at(0).nanos() + now - 5 * DAY;
    let day = day_of(CaptureTime::from_nanos(moment));
    let flow = tuple(40007).flow().hash().cast_signed();
    let post = format!("ARRAY[{flow}], ARRAY[1], ARRAY[{moment}]");
    let hosts = "ARRAY['192.0.2.10'::inet], ARRAY['198.51.100.20'::inet]";
    let server = "ARRAY['198.51.100.20'::inet], ARRAY[443]";
    let days = format!("{}, {}", day - 1, day + 1);
    let stretch = format!(
        "ARRAY[{}], ARRAY[{moment}], ARRAY[true], 96, {days}",
        moment - 10 * SECOND
    );
    let gap = format!(
        "ARRAY[{}], ARRAY[{moment}], ARRAY[true], ARRAY[96], {days}",
        moment - 10 * SECOND
    );
    let neighbour = format!("ARRAY[{flow}], ARRAY[1]");
    let packed_stretch = format!(
        "ARRAY[{}], ARRAY[{moment}], ARRAY[true], {}, 256, {days}",
        moment - 3610 * SECOND,
        10 * SECOND
    );
    for (name, sql, values) in [
        (
            "segments",
            include_str!("../../src/sql/segments.sql"),
            format!("{post}, {days}"),
        ),
        (
            "packed_segments",
            include_str!("../../src/sql/packed_segments.sql"),
            format!("{post}, {days}"),
        ),
        (
            "neighbours",
            include_str!("../../src/sql/neighbours.sql"),
            format!("{neighbour}, {stretch}"),
        ),
        (
            "packed_neighbours",
            include_str!("../../src/sql/packed_neighbours.sql"),
            format!("{neighbour}, {packed_stretch}"),
        ),
        (
            "packed_octets",
            include_str!("../../src/sql/packed_octets.sql"),
            format!("{neighbour}, ARRAY[{moment}], ARRAY[1], ARRAY[2], {days}"),
        ),
        (
            "handshakes",
            include_str!("../../src/sql/handshakes.sql"),
            format!("ARRAY[1], {hosts}, {gap}"),
        ),
        (
            "accepts",
            include_str!("../../src/sql/accepts.sql"),
            format!("ARRAY[1], {server}, ARRAY[NULL::inet], ARRAY[1], ARRAY[1], {gap}"),
        ),
        (
            "nearby_resets",
            include_str!("../../src/sql/nearby_resets.sql"),
            format!("ARRAY[1], {gap}"),
        ),
        (
            "kin",
            include_str!("../../src/sql/kin.sql"),
            format!("ARRAY[{flow}], {days}"),
        ),
        (
            "sharing_numbers",
            include_str!("../../src/sql/sharing_numbers.sql"),
            format!("ARRAY[{flow}], ARRAY[100], {days}"),
        ),
        (
            "carriers",
            include_str!("../../src/sql/carriers.sql"),
            format!(
                "ARRAY[7], ARRAY[{}], ARRAY[{}], ARRAY[{flow}], ARRAY[7], 272, {days}",
                moment - MS,
                moment + MS
            ),
        ),
    ] {
        let plan = plan(&store, sql, &values).await;
        assert!(!plan.contains("Seq Scan on"), "{name}:\n{plan}");
        assert_eq!(unbounded(&plan), None, "{name}:\n{plan}");
        let touched = days_read(&plan);
        assert!(
            (1..=3).contains(&touched.len()),
            "{name} reads {touched:?}:\n{plan}"
        );
        assert!(plan.contains("Subplans Removed"), "{name}:\n{plan}");
    }
}

#[tokio::test]
async fn what_is_asked_of_flows_at_once_reads_index_ranges_only() {
    let store = store().await;
    let now = until_now();
    fill_eight_days(&store, now).await;
    let flow = tuple(40007).flow().hash().cast_signed();
    let sql = include_str!("../../src/sql/first_look.sql");
    let plan = plan(&store, sql, &format!("ARRAY[{flow}], 256, 64")).await;
    for table in ["digest", "packed"] {
        assert!(!plan.contains(&format!("Seq Scan on {table}")), "{plan}");
    }
    let of_days: Vec<&str> = plan
        .split("->")
        .filter(|node| !node.contains(" on vantage"))
        .collect();
    assert_eq!(unbounded(&of_days.join("->")), None, "{plan}");
    assert!(days_read(&plan).len() >= 8, "of whatever day:\n{plan}");
}
