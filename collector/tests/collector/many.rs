//! What a page asks, with a hundred thousand resets in the store.

use parallax_collector::store::{Filters, Grouping, Place, Steps, Store};
use parallax_core::CaptureTime;

use crate::digests::EPOCH;
use crate::server::{Collector, database, plain_database};

pub const MANY: i64 = 100_000;
/// A week, in nanoseconds.
const WEEK: i64 = 7 * 86_400 * 1_000_000_000;

/// Resets of a week between six vantages, as a collector keeps them.
pub async fn fill(store: &Store, count: i64) {
    let sql = include_str!("many.sql");
    sqlx::query(sql)
        .bind(count)
        .bind(EPOCH)
        .bind(WEEK / count)
        .execute(store.pool())
        .await
        .unwrap();
    sqlx::query("ANALYZE reset")
        .execute(store.pool())
        .await
        .unwrap();
}

fn all() -> Filters {
    Filters {
        limit: 50,
        ..Filters::default()
    }
}

/// What visitors ask, by name.
fn questions() -> Vec<(&'static str, Filters)> {
    let day = EPOCH + 3 * WEEK / 7;
    vec![
        ("all", all()),
        (
            "one day",
            Filters {
                since: Some(CaptureTime::from_nanos(day)),
                until: Some(CaptureTime::from_nanos(day + WEEK / 7)),
                ..all()
            },
        ),
        (
            "a common address",
            Filters {
                address: Some("192.0.2.10".parse().unwrap()),
                ..all()
            },
        ),
        (
            "an address of nobody",
            Filters {
                address: Some("203.0.113.254".parse().unwrap()),
                ..all()
            },
        ),
        (
            "a port",
            Filters {
                port: Some(443),
                ..all()
            },
        ),
        (
            "a rare port",
            Filters {
                port: Some(20_777),
                ..all()
            },
        ),
        (
            "a vantage",
            Filters {
                vantage: Some("fw-in".to_owned()),
                ..all()
            },
        ),
        (
            "an unknown vantage",
            Filters {
                vantage: Some("nowhere".to_owned()),
                ..all()
            },
        ),
        (
            "an origin",
            Filters {
                origin: Some("undetermined"),
                ..all()
            },
        ),
        (
            "a cause",
            Filters {
                cause: Some("blind_attack"),
                ..all()
            },
        ),
        (
            "a place",
            Filters {
                between: Some(Place("fw-in".to_owned(), "fw-out".to_owned())),
                ..all()
            },
        ),
    ]
}

/// The list's own question, as the store asks it.
const LIST: &str = concat!(
    include_str!("../../src/sql/resets.sql"),
    include_str!("../../src/sql/passing.sql"),
    include_str!("../../src/sql/resets_end.sql")
);

/// How long they take is measured by `parallax-bench pages`.
#[tokio::test]
async fn lists_counts_and_groups_of_a_hundred_thousand_resets_agree() {
    let database = database().await;
    let store = Store::open(&database).await.unwrap();
    fill(&store, MANY).await;
    let steps = Steps {
        from: CaptureTime::from_nanos(EPOCH),
        length: WEEK / 48 + 1,
        count: 48,
    };
    let mut sums = Vec::new();
    for (name, filters) in questions() {
        let page = store.page(&filters).await.unwrap();
        let counts = store.counts(&filters, steps).await.unwrap();
        let counted: i64 = counts.iter().map(|count| count.resets).sum();
        assert_eq!(page.resets.len() as i64, counted.min(50), "{name}");
        assert_eq!(page.next.is_some(), counted > 50, "{name}");
        let newest_first = page.resets.is_sorted_by(|a, b| a.time >= b.time);
        assert!(newest_first, "{name}");
        for by in [Grouping::Place, Grouping::Cause, Grouping::Peer] {
            let groups = store.groups(&filters, by).await.unwrap();
            let grouped: i64 = groups.iter().map(|group| group.resets).sum();
            // Only some have a place, and only so many groups are told.
            assert!(grouped <= counted, "{name} {by:?}");
            if by == Grouping::Cause {
                assert_eq!(grouped, counted, "{name}");
            }
            assert!(groups.is_sorted_by(|a, b| a.resets >= b.resets), "{name}");
        }
        sums.push((name, counted));
    }
    let sum = |wanted: &str| sums.iter().find(|(name, _)| *name == wanted).unwrap().1;
    assert_eq!(sum("all"), MANY);
    assert_eq!(sum("an origin"), MANY / 5);
    assert_eq!(sum("a place"), MANY / 5);
    assert_eq!(sum("a cause") + sum("an unknown vantage"), 0);
    assert_eq!(sum("an address of nobody"), 0);
    drop(store);
    let collector = Collector::start(database).await;
    for path in [
        "/",
        "/?group=place",
        "/?group=peer&port=443",
        "/?vantage=fw-in&cause=closed_port",
        "/path",
        "/v1/resets?limit=50",
    ] {
        let (status, body) = collector.get(path).await;
        assert_eq!(status, 200, "{path}");
        assert!(body.contains("fw-in"), "{path}");
    }
    collector.stop().await;
}

#[tokio::test]
async fn the_newest_resets_are_found_by_their_index() {
    let store = Store::open(&plain_database().await).await.unwrap();
    fill(&store, 20_000).await;
    let mut connection = store.pool().acquire().await.unwrap();
    for order in [
        "SET plan_cache_mode = force_custom_plan",
        "SET enable_seqscan = on",
    ] {
        sqlx::query(order).execute(&mut *connection).await.unwrap();
    }
    let prepare = format!(
        "PREPARE list (bigint, bigint, inet, integer, text, text, text, text, text, text, text, text, bigint, uuid, bigint) AS {LIST}"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(prepare))
        .execute(&mut *connection)
        .await
        .unwrap();
    let day = EPOCH + WEEK / 7;
    let nulls = |count: usize| vec!["NULL"; count].join(", ");
    for (name, values) in [
        ("all", nulls(14)),
        ("one day", format!("{EPOCH}, {day}, {}", nulls(12))),
        ("a port", format!("NULL, NULL, NULL, 443, {}", nulls(10))),
        (
            "the next page",
            format!(
                "{}, {day}, '00000000-0000-7000-8000-000000000001'",
                nulls(12)
            ),
        ),
    ] {
        let explain = format!("EXPLAIN (COSTS OFF) EXECUTE list({values}, 51)");
        let plan: Vec<(String,)> = sqlx::query_as(sqlx::AssertSqlSafe(explain))
            .persistent(false)
            .fetch_all(&mut *connection)
            .await
            .unwrap();
        let plan: Vec<String> = plan.into_iter().map(|(line,)| line).collect();
        let plan = plan.join("\n");
        assert!(plan.contains("reset_by_time"), "{name}: {plan}");
        assert!(!plan.contains("Seq Scan"), "{name}: {plan}");
    }
}
