//! Distributed tables: what Citus needs of the schema and of a case's questions, shown on a plain Postgres; and a
//! coordinator, where one is named.

use std::process::Command;

use parallax_collector::store::{Ask, DISTRIBUTED, DistributeError, Store, routed_questions};
use parallax_core::time::SECOND;
use parallax_core::{Digest, FlowEvidence, FourTuple};

use crate::digests::{ACK, MS, RST, SYN, at, segment, tuple};
use crate::load::{hop, portion};
use crate::packed::{connection, later};
use crate::plans::explained;
use crate::process::PROGRAM;
use crate::server::{CITUS_URL, database, plain_database};

async fn run(store: &Store, sql: &'static str) {
    sqlx::query(sql).execute(store.pool()).await.unwrap();
}

#[tokio::test]
async fn every_key_of_a_distributed_table_contains_its_column_and_no_foreign_key_leads_elsewhere() {
    let store = Store::open(&plain_database().await).await.unwrap();
    store.open_days_ahead().await.unwrap();
    let faults = store.distribution_faults().await.unwrap();
    assert_eq!(faults, Vec::<String>::new());
    // That the catalogue would tell: of partitions as of whole tables, and in both directions.
    for (sql, fault) in [
        (
            "CREATE UNIQUE INDEX once ON packed_other (run_id, first_number)",
            "index once of table packed_other is unique without flow",
        ),
        (
            "ALTER TABLE near ADD CONSTRAINT whose FOREIGN KEY (run_id) REFERENCES run (id)",
            "foreign key whose joins table near to table run",
        ),
        (
            "ALTER TABLE opening ALTER COLUMN number DROP NOT NULL",
            "table opening has no column number that is never null",
        ),
    ] {
        run(&store, sql).await;
        let faults = store.distribution_faults().await.unwrap();
        assert!(faults.iter().any(|told| told == fault), "{faults:?}");
    }
    run(
        &store,
        "CREATE UNIQUE INDEX fit ON payload_other (flow, hash)",
    )
    .await;
    let faults = store.distribution_faults().await.unwrap();
    assert!(
        !faults.iter().any(|told| told.contains("fit")),
        "{faults:?}"
    );
}

/// Resets of one connection at each vantage: fewer, and more, than are read of a flow at first.
const FLOODED: [(u16, u32); 2] = [(42000, 100), (42001, 200)];
/// Requests of a connection that takes more packed rows than are read of a flow at first.
const LONG: (u16, u32) = (42002, 1000);

/// A connection that bears other names and the same numbers elsewhere, and nothing else by which it may be known.
const NUMBERED: (u16, &str) = (42003, "203.0.113.10");

/// A connection under two names, one that carries the same payload, others between the same hosts, a crowd, floods of
/// resets, and a long one.
fn seen() -> (Vec<Digest>, Vec<Digest>) {
    let mut translated = tuple(61000);
    translated.src.addr = "203.0.113.9".parse().unwrap();
    let mut here = connection(tuple(40000), 0, 20);
    let mut there = connection(translated, 1, 20);
    let apart_as = |name: FourTuple, port: u16, millis: i64, turns: u32| {
        let by = u32::from(port) * 1000;
        let mut digests = connection(name, millis, turns);
        for digest in &mut digests {
            digest.seq.0 += by;
            digest.ack.0 += by;
            digest.payload_hash = digest.payload_hash.map(|hash| hash + u64::from(by));
        }
        digests
    };
    let apart = |port: u16, millis, turns| apart_as(tuple(port), port, millis, turns);
    // Known by its numbers only.
    translated.src.addr = NUMBERED.1.parse().unwrap();
    for (all, name) in [(&mut here, tuple(NUMBERED.0)), (&mut there, translated)] {
        let mut bare = apart_as(name, NUMBERED.0, 7, 3);
        for digest in &mut bare {
            digest.payload_hash = None;
        }
        all.extend(bare);
    }
    for port in 41000..41020 {
        let apart = apart(port, i64::from(port - 41000), 3);
        here.extend(apart.iter().copied());
        there.extend(apart);
    }
    for (port, resets) in FLOODED {
        let tuple = tuple(port);
        let flood = (0..resets).map(|n| segment(tuple, i64::from(n), RST, resets * 100 + n / 2, 0));
        here.extend(flood.clone());
        there.extend(later(flood.collect(), MS));
    }
    let (port, turns) = LONG;
    here.extend(apart(port, 3, turns));
    there.extend(apart(port, 4, turns));
    here.sort_by_key(|digest| digest.time);
    there.sort_by_key(|digest| digest.time);
    (here, there)
}

fn ask(tuple: FourTuple) -> Ask {
    Ask {
        flow: tuple.flow().hash().cast_signed(),
        moment: None,
    }
}

/// The evidence of several flows at once, by all that it says.
async fn told(store: &Store) -> Vec<String> {
    let ports = [40000, 41003, 41007, LONG.0, NUMBERED.0];
    let ports = ports.into_iter().chain(FLOODED.map(|(port, _)| port));
    let asks: Vec<Ask> = ports.map(|port| ask(tuple(port))).collect();
    let gathered = store.gather(&asks, &[]).await.unwrap();
    let told = |evidence: Vec<FlowEvidence>| format!("{evidence:#?}");
    gathered
        .into_iter()
        .map(|one| format!("{:?} {}", one.kin, told(one.evidence.unwrap())))
        .collect()
}

#[tokio::test]
async fn what_is_asked_shard_by_shard_tells_what_is_asked_at_once() {
    let target = plain_database().await;
    let by_shard = Store::open_by_shard(&target).await.unwrap();
    let (here, there) = seen();
    for (name, number, digests) in [("client", 1, here), ("server", 2, there)] {
        let run = by_shard.register(&hop(name, number)).await.unwrap();
        for (index, part) in digests.chunks(90).enumerate() {
            let part = portion(run, index as u64 * 90, part.to_vec());
            by_shard.load(&[&part]).await.unwrap();
        }
    }
    let whole = Store::open(&target).await.unwrap();
    let (one, other) = (told(&whole).await, told(&by_shard).await);
    assert!(one[0].contains("203.0.113.9"), "under the other name too");
    assert!(one[4].contains(NUMBERED.1), "by its numbers alone");
    assert_eq!(one, other);
    for (port, resets) in FLOODED {
        let gathered = whole.gather(&[ask(tuple(port))], &[]).await.unwrap();
        let evidence = &gathered[0].evidence.as_ref().unwrap()[0];
        let counts = evidence.vantages.iter().map(|at| at.segments.len());
        assert_eq!(counts.collect::<Vec<_>>(), [resets as usize; 2]);
    }
    by_shard.drop_days(7).await.unwrap();
    assert_eq!(told(&by_shard).await, one, "old, but of runs that are kept");
    run(
        &whole,
        "UPDATE run SET finished_at = now() - interval '9 days'",
    )
    .await;
    by_shard.drop_days(7).await.unwrap();
    for (table, ..) in DISTRIBUTED {
        let count = format!("SELECT count(*) FROM {table}");
        let (count,): (i64,) = sqlx::query_as(sqlx::AssertSqlSafe(count))
            .fetch_one(whole.pool())
            .await
            .unwrap();
        assert_eq!(count, 0, "{table}");
    }
}

#[tokio::test]
async fn digests_from_before_the_distribution_are_kept_by_other_keys_as_later_ones_are() {
    let rows = |store: Store| async move {
        let mut all: Vec<String> = Vec::new();
        for sql in [
            "SELECT near::text FROM near ORDER BY 1",
            "SELECT opening::text FROM opening ORDER BY 1",
        ] {
            let rows: Vec<(String,)> = sqlx::query_as(sql).fetch_all(store.pool()).await.unwrap();
            all.extend(rows.into_iter().map(|(row,)| row));
        }
        all
    };
    let mut digests = seen().0;
    let rst_syn = segment(tuple(1), 5, SYN | RST, 77, 0);
    let rst_zero = segment(tuple(1), 6, RST | ACK, 0, 9);
    digests.extend([rst_syn, rst_zero]);
    let mut stores = Vec::new();
    for by_shard in [true, false] {
        let target = plain_database().await;
        let store = if by_shard {
            Store::open_by_shard(&target).await.unwrap()
        } else {
            Store::open(&target).await.unwrap()
        };
        let run = store.register(&hop("client", 1)).await.unwrap();
        let part = portion(run, 0, digests.clone());
        store.load(&[&part]).await.unwrap();
        stores.push(store);
    }
    let [later, before] = <[Store; 2]>::try_from(stores).unwrap();
    run(&before, include_str!("../../src/sql/fill_near.sql")).await;
    run(&before, include_str!("../../src/sql/fill_opening.sql")).await;
    let later = rows(later).await;
    assert!(later.len() > 100);
    assert_eq!(rows(before).await, later);
}

/// The scans of a plan that read a distributed table without a value of its column.
fn unrouted(plan: &str, column: &str, key: &str) -> Vec<String> {
    let tables = DISTRIBUTED.map(|(table, ..)| format!(" on {table}_"));
    let scans = plan.split("->").filter(|node| {
        let head = node.lines().next().unwrap_or_default();
        tables.iter().any(|table| head.contains(table.as_str()))
    });
    let given = [
        format!("({column} = '{key}'::bigint)"),
        format!("({column} = {key})"),
    ];
    let is_given = |node: &&str| {
        // A payload is found by its slice of time and then by its hash: what routes a statement is that it is named.
        let conditions = ["Index Cond:", "Filter:"];
        let mut lines = node
            .lines()
            .filter(|line| conditions.iter().any(|condition| line.contains(condition)));
        lines.any(|line| given.iter().any(|given| line.contains(given.as_str())))
    };
    scans
        .filter(|node| !is_given(node))
        .map(ToString::to_string)
        .collect()
}

#[tokio::test]
async fn each_question_of_a_case_names_the_value_of_the_distribution_column_of_what_it_reads() {
    let store = Store::open_by_shard(&plain_database().await).await.unwrap();
    let moment = at(0).nanos();
    let flow = tuple(40007).flow().hash().cast_signed();
    let post = format!("ARRAY[{flow}], ARRAY[5], ARRAY[{moment}]");
    let hosts = "ARRAY['192.0.2.10'::inet], ARRAY['198.51.100.20'::inet]";
    let server = "ARRAY['198.51.100.20'::inet], ARRAY[443]";
    let days = "20000, 20010";
    let from = moment - SECOND;
    let stretch = format!("ARRAY[{from}], ARRAY[{moment}], ARRAY[true], 96, {days}");
    let neighbour = format!("ARRAY[{flow}], ARRAY[5]");
    let gap = format!("ARRAY[{from}], ARRAY[{moment}], ARRAY[true], ARRAY[96], {days}");
    let packed_stretch =
        format!("ARRAY[{from}], ARRAY[{moment}], ARRAY[true], {SECOND}, 256, {days}");
    let span = format!("ARRAY[{}], ARRAY[{}]", moment - MS, moment + MS);
    let (hash, number) = (77_000_000_007_i64, 4_000_000_009_i64);
    let of = |name: &str| match name {
        "sightings" => ("flow", flow, format!("ARRAY[{flow}]")),
        "segments" | "packed_segments" => ("flow", flow, format!("{post}, {days}")),
        "neighbours" => ("flow", flow, format!("{neighbour}, {stretch}")),
        "packed_neighbours" => ("flow", flow, format!("{neighbour}, {packed_stretch}")),
        "packed_octets" => (
            "flow",
            flow,
            format!("{neighbour}, ARRAY[{moment}], ARRAY[1], ARRAY[2], {days}"),
        ),
        "carriers" => (
            "hash",
            hash,
            format!("ARRAY[{hash}], {span}, ARRAY[{flow}], ARRAY[7], 272, {days}"),
        ),
        "handshakes" => ("vantage_id", 5, format!("ARRAY[5], {hosts}, {gap}")),
        "accepts" => (
            "vantage_id",
            5,
            format!("ARRAY[5], {server}, ARRAY[NULL::inet], ARRAY[1], ARRAY[1], {gap}"),
        ),
        "nearby_resets" => ("vantage_id", 5, format!("ARRAY[5], {gap}")),
        "flows_numbers" => ("flow", flow, format!("{flow}, {days}")),
        "numbers_flows" => (
            "number",
            number,
            format!("{number}, '192.0.2.10'::inet, 443, {days}"),
        ),
        "has_reset" => ("flow", flow, flow.to_string()),
        other => panic!("no values for {other}"),
    };
    let mut questions = routed_questions();
    assert_eq!(questions.len(), 13);
    // That the plan would tell: the same question for many flows at once.
    questions.push(("segments", include_str!("../../src/sql/segments.sql")));
    let mut told = Vec::new();
    for (name, sql) in questions {
        let (column, key, values) = of(name);
        let plan = explained(&store, "COSTS OFF", (sql, &values)).await;
        assert!(plan.contains("_other"), "{name} reads nothing:\n{plan}");
        assert!(!plan.contains("Seq Scan on"), "{name}:\n{plan}");
        told.push((name, unrouted(&plan, column, &key.to_string()), plan));
    }
    let (_, at_once, _) = told.pop().unwrap();
    assert!(!at_once.is_empty());
    for (name, unrouted, plan) in told {
        assert_eq!(unrouted, Vec::<String>::new(), "{name}:\n{plan}");
    }
}

#[tokio::test]
async fn without_citus_nothing_is_distributed_and_one_line_says_what_to_install() {
    let target = plain_database().await;
    let store = Store::open(&target).await.unwrap();
    let refused = store.distribute().await.unwrap_err();
    assert!(matches!(refused, DistributeError::NoCitus), "{refused}");
    let folder = tempfile::tempdir().unwrap();
    crate::server::open_to_all(folder.path());
    let output = Command::new(PROGRAM)
        .args(["migrate", "--distributed", "--data-dir"])
        .arg(folder.path())
        .env_remove("PARALLAX_DATABASE_URL")
        .env("PARALLAX_LOG", "error")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    for part in [
        "no Citus extension",
        "install Citus",
        "CREATE EXTENSION citus",
    ] {
        assert!(said.contains(part), "no {part:?} in: {said}");
    }
}

#[tokio::test]
#[ignore = "needs a Citus coordinator: PARALLAX_CITUS_URL=postgres://USER@HOST/DATABASE"]
async fn on_a_coordinator_tables_are_distributed_and_each_question_goes_to_one_shard() {
    let named = std::env::var(CITUS_URL).is_ok();
    assert!(named, "name a Citus coordinator with {CITUS_URL}");
    let store = Store::open(&database().await).await.unwrap();
    for (table, column, _) in DISTRIBUTED {
        let (by,): (String,) = sqlx::query_as(
            "SELECT column_to_column_name(logicalrelid, partkey) FROM pg_dist_partition \
             WHERE logicalrelid = $1::regclass",
        )
        .bind(table)
        .fetch_one(store.pool())
        .await
        .unwrap();
        assert_eq!(by, column, "{table}");
    }
    let (here, _) = seen();
    let run = store.register(&hop("client", 1)).await.unwrap();
    store.load(&[&portion(run, 0, here)]).await.unwrap();
    // A statement that reached several shards would be refused.
    assert!(told(&store).await[0].contains("198.51.100.20"));
    store.distribute().await.unwrap();
}
