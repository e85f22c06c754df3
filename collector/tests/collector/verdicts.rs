//! Verdicts are kept, replaced and settled.

use parallax_collector::store::Ask;
use parallax_collector::store::{Filters, Gathered, PortionOfFlow, Settling, Store, Verdicts};
use parallax_core::judge::judge_flow;

use crate::digests::{ACK, RST, refused, segment, tuple};
use crate::load::{hop, portion};
use crate::server::store;

fn flow() -> i64 {
    tuple(40000).flow().hash().cast_signed()
}

async fn gather(store: &Store) -> Gathered {
    let ask = Ask {
        flow: flow(),
        moment: None,
    };
    store.gather(&[ask], &[]).await.unwrap().remove(0)
}

fn judged(gathered: &Gathered, settling: Settling) -> Verdicts {
    let evidence = gathered.evidence.as_ref().unwrap();
    Verdicts {
        flow: gathered.flow,
        judged: evidence.iter().flat_map(judge_flow).collect(),
        portion: gathered.portion,
        settling,
        docket: gathered.docket,
        kin: gathered.kin.clone(),
        vantages: gathered.vantages.clone(),
    }
}

async fn unsettled(store: &Store) -> i64 {
    let (count,): (i64,) = sqlx::query_as("SELECT count(*) FROM reset WHERE NOT settled")
        .fetch_one(store.pool())
        .await
        .unwrap();
    count
}

async fn all(store: &Store) -> Vec<parallax_core::report::ResetReport> {
    let filters = Filters {
        limit: 100,
        ..Filters::default()
    };
    store.resets(&filters).await.unwrap().0
}

#[tokio::test]
async fn a_verdict_is_news_once_and_keeps_its_id() {
    let store = store().await;
    let run = store.register(&hop("fw-in", 1)).await.unwrap();
    let load = portion(run, 0, refused(40000, 0));
    store.load(&[&load]).await.unwrap();
    let gathered = gather(&store).await;
    let first = store
        .write_verdicts(&[judged(&gathered, Settling::Open)])
        .await
        .unwrap();
    let first = first.changed;
    assert_eq!(first.len(), 1);
    assert_eq!(all(&store).await, first);
    let again = gather(&store).await;
    let known = &again.evidence.as_ref().unwrap()[0].known_ids;
    assert_eq!(known.len(), 1);
    assert_eq!(known[0].id, first[0].id);
    let second = store
        .write_verdicts(&[judged(&again, Settling::Open)])
        .await
        .unwrap();
    assert!(second.changed.is_empty(), "nothing changed: {second:?}");
}

#[tokio::test]
async fn evidence_that_comes_while_a_flow_settles_keeps_it_in_the_docket() {
    let store = store().await;
    let run = store.register(&hop("fw-in", 1)).await.unwrap();
    store
        .load(&[&portion(run, 0, refused(40000, 0))])
        .await
        .unwrap();
    let before = gather(&store).await;
    store
        .write_verdicts(&[judged(&before, Settling::Open)])
        .await
        .unwrap();
    // A segment without RST, of a flow whose reset is known by now.
    let late = portion(run, 2, vec![segment(tuple(40000), 5, ACK, 1, 1)]);
    let loaded = store.load(&[&late]).await.unwrap();
    assert_eq!(loaded.docketed, [flow()]);
    store
        .write_verdicts(&[judged(&before, Settling::Settle)])
        .await
        .unwrap();
    assert_eq!(store.docketed().await.unwrap(), [flow()]);
    assert_eq!(unsettled(&store).await, 1);
    let after = gather(&store).await;
    store
        .write_verdicts(&[judged(&after, Settling::Settle)])
        .await
        .unwrap();
    assert!(store.docketed().await.unwrap().is_empty());
    assert_eq!(unsettled(&store).await, 0);
}

#[tokio::test]
async fn a_verdict_counts_as_settled_once_however_often_its_flow_is_judged() {
    let store = store().await;
    let run = store.register(&hop("fw-in", 1)).await.unwrap();
    store
        .load(&[&portion(run, 0, refused(40000, 0))])
        .await
        .unwrap();
    let mut counted = Vec::new();
    for settling in [
        Settling::Open,
        Settling::Settle,
        Settling::Open,
        Settling::Settle,
    ] {
        let gathered = gather(&store).await;
        let written = store
            .write_verdicts(&[judged(&gathered, settling)])
            .await
            .unwrap();
        let settled = written.settled.iter().map(|settled| settled.resets);
        counted.push(settled.sum::<i64>());
    }
    assert_eq!(counted, [0, 1, 0, 0]);
    // Another verdict is news again.
    let mut other = judged(&gather(&store).await, Settling::Settle);
    other.judged[0].report.confidence = 0.123;
    let written = store.write_verdicts(&[other]).await.unwrap();
    assert_eq!((written.changed.len(), written.settled.len()), (1, 1));
    assert_eq!(written.settled[0].cause, "unknown");
}

#[tokio::test]
async fn a_reset_that_a_whole_flow_does_not_contain_any_more_is_deleted() {
    let store = store().await;
    let run = store.register(&hop("fw-in", 1)).await.unwrap();
    let mut digests = refused(40000, 0);
    digests.push(segment(tuple(40000), 9, RST, 77, 0));
    store.load(&[&portion(run, 0, digests)]).await.unwrap();
    let both = judged(&gather(&store).await, Settling::Open);
    assert_eq!(both.judged.len(), 2);
    store.write_verdicts(&[both]).await.unwrap();
    for (part, left) in [(PortionOfFlow::Part, 2), (PortionOfFlow::Whole, 1)] {
        let mut one = judged(&gather(&store).await, Settling::Open);
        one.judged.truncate(1);
        one.portion = part;
        store.write_verdicts(&[one]).await.unwrap();
        assert_eq!(all(&store).await.len(), left);
    }
}

#[tokio::test]
async fn resets_within_a_late_coverage_are_entered_in_the_docket() {
    let store = store().await;
    let run = store.register(&hop("fw-in", 1)).await.unwrap();
    store
        .load(&[&portion(run, 0, refused(40000, 0))])
        .await
        .unwrap();
    let gathered = gather(&store).await;
    store
        .write_verdicts(&[judged(&gathered, Settling::Settle)])
        .await
        .unwrap();
    let time = all(&store).await[0].time;
    let spans =
        async |vantage, from, until| store.docket_spans(&[(vantage, from, until)]).await.unwrap();
    assert!(spans(Some(1), time.plus(1), time.plus(9)).await.is_empty());
    assert_eq!(spans(Some(run.vantage_id), time, time).await, [flow()]);
    assert_eq!(store.docketed().await.unwrap(), [flow()]);
}

#[tokio::test]
async fn late_coverage_of_a_vantage_that_has_nothing_to_do_with_a_reset_enters_nothing() {
    let store = store().await;
    let run = store.register(&hop("fw-in", 1)).await.unwrap();
    store
        .load(&[&portion(run, 0, refused(40000, 0))])
        .await
        .unwrap();
    let gathered = gather(&store).await;
    let mut verdicts = judged(&gathered, Settling::Settle);
    verdicts.vantages = Some([run.vantage_id].into());
    let written = store.write_verdicts(&[verdicts]).await.unwrap();
    let time = written.changed[0].time;
    let elsewhere = (Some(run.vantage_id + 1), time, time);
    assert!(store.docket_spans(&[elsewhere]).await.unwrap().is_empty());
    assert!(store.docketed().await.unwrap().is_empty());
    for concerned in [Some(run.vantage_id), None] {
        let both = [elsewhere, (concerned, time, time)];
        assert_eq!(store.docket_spans(&both).await.unwrap(), [flow()]);
    }

    // Of more vantages than before; the verdict is the same one.
    let mut again = judged(&gathered, Settling::Open);
    again.vantages = None;
    let written = store.write_verdicts(&[again]).await.unwrap();
    assert!(written.changed.is_empty());
    assert_eq!(store.docket_spans(&[elsewhere]).await.unwrap(), [flow()]);
}
