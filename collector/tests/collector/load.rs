//! Storing and reading back.

use parallax_collector::store::{
    Asides, Ask, Beat, NewRun, Outcome, Portion, Registered, Source, Store,
};
use parallax_core::{Coverage, Digest, Endpoint, FourTuple, Selection, Vantage, VantageKind};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use uuid::Uuid;

use crate::digests::{RST, any_digest, at, refused, segment, tuple};
use crate::server::store;

pub fn hop(name: &str, run: u128) -> NewRun {
    NewRun {
        vantage: Vantage {
            name: name.to_owned(),
            kind: VantageKind::Hop,
        },
        run_id: Uuid::from_u128(run),
        source: Source::File,
        selection: Selection::All,
        agent_version: "0.1.0".to_owned(),
        interfaces: vec!["eth0".to_owned()],
        filter: String::new(),
        snaplen: 192,
    }
}

pub fn portion(run: Registered, first_number: u64, digests: Vec<Digest>) -> Portion {
    Portion {
        stream: 0,
        run,
        first_number,
        digests,
        losses: Vec::new(),
        skipped_to: 0,
        asides: Asides::default(),
        beats: Vec::new(),
        finished: false,
    }
}

pub fn beat(from: i64, until: i64, received: u64, dropped: u64) -> Beat {
    Beat {
        epoch: 0,
        span: Some(Coverage {
            from: at(from),
            until: at(until).plus(-1),
            received,
            dropped,
        }),
        unread: vec![("not_ip".to_owned(), 1)],
    }
}

/// What is stored of the only flow that is asked for, at the first vantage.
async fn stored(store: &Store, flow: u64) -> Vec<Digest> {
    let ask = Ask {
        flow: flow.cast_signed(),
        moment: None,
    };
    let mut gathered = store.gather(&[ask], &[]).await.unwrap();
    let mut evidence = gathered.remove(0).evidence.unwrap();
    evidence.remove(0).vantages.remove(0).segments
}

async fn count(store: &Store, sql: &'static str) -> i64 {
    let (count,): (i64,) = sqlx::query_as(sql).fetch_one(store.pool()).await.unwrap();
    count
}

#[tokio::test]
async fn any_digest_comes_back_from_the_database_as_it_went_in() {
    let store = store().await;
    let run = store.register(&hop("fw-in", 1)).await.unwrap();
    let v6 = FourTuple::new(
        Endpoint::new("2001:db8::1".parse().unwrap(), 0),
        Endpoint::new("2001:db8:ffff::2".parse().unwrap(), 65535),
    );
    let mut runner = TestRunner::deterministic();
    let mut number = 0;
    for flow in [tuple(40000), v6] {
        let mut digests: Vec<Digest> = (0..1000)
            .map(|_| any_digest(flow).new_tree(&mut runner).unwrap().current())
            .collect();
        // Only flows with a reset are gathered; times differ, so that their order is theirs.
        digests[0].flags.0 |= RST;
        digests.sort_by_key(|digest| digest.time);
        digests.dedup_by_key(|digest| digest.time);
        let count = digests.len() as u64;
        let portion = portion(run, number, digests.clone());
        let loaded = store.load(&[&portion]).await.unwrap();
        number += count;
        assert_eq!(loaded.outcomes, [Outcome::Committed(number)]);
        assert_eq!(stored(&store, flow.flow().hash()).await, digests);
    }
}

#[tokio::test]
async fn what_is_handed_over_twice_is_stored_once() {
    let store = store().await;
    let run = store.register(&hop("fw-in", 1)).await.unwrap();
    let mut first = portion(run, 0, refused(40000, 0));
    first.beats = vec![beat(0, 100, 5, 0), beat(100, 200, 6, 2)];
    // Part of it again, with more behind, in one transaction and in two.
    let mut overlapping = portion(run, 1, refused(40000, 0).split_off(1));
    overlapping.digests.extend(refused(40001, 10));
    overlapping.beats = vec![beat(100, 200, 6, 2), beat(200, 300, 1, 0)];
    store.load(&[&first, &first, &overlapping]).await.unwrap();
    let loaded = store.load(&[&overlapping]).await.unwrap();
    assert_eq!(loaded.outcomes, [Outcome::Committed(4)]);
    assert_eq!(loaded.rows, 0);
    assert_eq!(count(&store, "SELECT count(*) FROM digest").await, 4);
    assert_eq!(
        count(&store, "SELECT count(DISTINCT number) FROM digest").await,
        4
    );
    assert_eq!(
        count(&store, "SELECT sum(received)::bigint FROM coverage").await,
        12
    );
    assert_eq!(
        count(&store, "SELECT sum(count)::bigint FROM unread").await,
        3
    );
    let summary = store.summaries().await.unwrap().remove(0);
    assert_eq!((summary.packets, summary.dropped), (12, 2));
    assert_eq!(summary.first, Some(at(0)));
    let again = store.register(&hop("fw-in", 1)).await.unwrap();
    assert_eq!(again.committed, 4);
}

#[tokio::test]
async fn beats_without_loss_extend_one_row_of_coverage() {
    let store = store().await;
    let run = store.register(&hop("fw-in", 1)).await.unwrap();
    for turn in 0..5 {
        let mut portion = portion(run, 0, Vec::new());
        portion.beats = vec![beat(turn * 200, (turn + 1) * 200, 1, 0)];
        store.load(&[&portion]).await.unwrap();
    }
    assert_eq!(count(&store, "SELECT count(*) FROM coverage").await, 1);
    assert_eq!(count(&store, "SELECT received FROM coverage").await, 5);
    assert_eq!(
        count(&store, "SELECT until_ns FROM coverage").await,
        at(1000).nanos() - 1
    );
}

#[tokio::test]
async fn a_gap_in_the_numbers_stores_nothing_of_that_run_and_hinders_no_other() {
    let store = store().await;
    let lost = store.register(&hop("fw-in", 1)).await.unwrap();
    let whole = store.register(&hop("fw-out", 2)).await.unwrap();
    let ahead = portion(lost, 7, refused(40000, 0));
    let right = portion(whole, 0, refused(40000, 0));
    let loaded = store.load(&[&ahead, &right]).await.unwrap();
    let gap = Outcome::Gap {
        committed: 0,
        first: 7,
    };
    assert_eq!(loaded.outcomes, [gap, Outcome::Committed(2)]);
    assert_eq!(count(&store, "SELECT count(*) FROM digest").await, 2);
}

#[tokio::test]
async fn only_flows_with_resets_are_entered_in_the_docket() {
    let store = store().await;
    let run = store.register(&hop("fw-in", 1)).await.unwrap();
    let quiet = segment(tuple(50000), 0, 2, 1, 0);
    let mut digests = refused(40000, 0);
    digests.push(quiet);
    let loaded = store.load(&[&portion(run, 0, digests)]).await.unwrap();
    let flow = tuple(40000).flow().hash().cast_signed();
    assert_eq!(loaded.docketed, [flow]);
    assert_eq!(store.docketed().await.unwrap(), [flow]);
}

#[tokio::test]
async fn a_damaged_row_is_refused_by_table_and_column() {
    let store = store().await;
    let run = store.register(&hop("fw-in", 1)).await.unwrap();
    store
        .load(&[&portion(run, 0, refused(40000, 0))])
        .await
        .unwrap();
    sqlx::query("UPDATE digest SET win = 70000 WHERE number = 1")
        .execute(store.pool())
        .await
        .unwrap();
    let ask = Ask {
        flow: tuple(40000).flow().hash().cast_signed(),
        moment: None,
    };
    let gathered = store.gather(&[ask], &[]).await.unwrap().remove(0);
    let refused = gathered.evidence.unwrap_err().to_string();
    assert!(
        refused.contains("table digest, run 1 number 1: column win holds 70000"),
        "{refused}"
    );
}
