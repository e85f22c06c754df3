//! Of many vantages those are gathered that have to do with a flow, and only they answer without holding anything.

use std::net::IpAddr;
use std::time::Duration;

use parallax_collector::store::{Ask, Asking, Gathered, Source, Store};
use parallax_core::{Digest, FourTuple, Selection, VantageKind};
use parallax_proto::v1::Recall;

use crate::digests::{ACK, EPOCH, MS, RST, SYN, refused, segment, tuple};
use crate::load::{beat, hop, portion};
use crate::server::store;

/// A vantage with these digests; returns its id.
async fn vantage(store: &Store, name: &str, kind: VantageKind, digests: Vec<Digest>) -> i32 {
    let mut new = hop(name, name.bytes().map(u128::from).sum());
    new.vantage.kind = kind;
    new.selection = Selection::All;
    new.source = Source::Live;
    let run = store.register(&new).await.unwrap();
    let mut portion = portion(run, 0, digests);
    portion.beats = vec![beat(-1000, 1000, 10, 0)];
    store.load(&[&portion]).await.unwrap();
    run.vantage_id
}

async fn gather(store: &Store, flow: FourTuple, path: &[&str]) -> Gathered {
    let ask = Ask {
        flow: flow.flow().hash().cast_signed(),
        moment: None,
    };
    let path: Vec<String> = path.iter().map(|name| (*name).to_owned()).collect();
    store.gather(&[ask], &path).await.unwrap().remove(0)
}

fn names(gathered: &Gathered) -> Vec<&str> {
    let evidence = gathered.evidence.as_ref().unwrap();
    let all = evidence.iter().flat_map(|one| &one.vantages);
    all.map(|at| at.vantage.name.as_str()).collect()
}

fn host(address: IpAddr) -> VantageKind {
    VantageKind::Host {
        addresses: vec![address],
    }
}

/// One translated connection: the client's name and the server's.
fn translated(client_port: u16) -> (FourTuple, FourTuple) {
    let near = tuple(client_port);
    let mut far = near;
    far.src.addr = "203.0.113.1".parse().unwrap();
    far.src.port = 60000;
    (near, far)
}

#[tokio::test]
async fn who_has_to_do_with_a_connection_is_gathered_and_nobody_else() {
    let store = store().await.asking_everywhere_up_to(0);
    let (near, far) = translated(40000);
    let open = |tuple: FourTuple| segment(tuple, 0, SYN, 1000, 0);
    let other = |tuple: FourTuple| segment(tuple, 0, SYN, u32::from(tuple.src.port), 0);
    let reset = |tuple: FourTuple| segment(tuple.reversed(), 1, RST | ACK, 0, 1001);
    let hop = VantageKind::Hop;
    vantage(&store, "holds", hop.clone(), vec![open(near), reset(near)]).await;
    let mut stranger = tuple(40001);
    stranger.dst.addr = "198.51.100.99".parse().unwrap();
    vantage(&store, "stranger", hop.clone(), vec![other(stranger)]).await;
    vantage(&store, "knows both", hop.clone(), vec![other(tuple(40002))]).await;
    vantage(&store, "behind", hop.clone(), vec![open(far)]).await;
    vantage(&store, "idle", hop.clone(), Vec::new()).await;
    vantage(&store, "on the path", hop.clone(), Vec::new()).await;
    vantage(&store, "client", host(near.src.addr), Vec::new()).await;
    vantage(&store, "its other name", host(far.src.addr), Vec::new()).await;
    let mut next = far;
    next.src.port = 60001;
    vantage(
        &store,
        "knows the other name",
        hop.clone(),
        vec![other(next)],
    )
    .await;

    let gathered = gather(&store, near, &["on the path", "holds"]).await;
    let relevant = [
        "holds",
        "knows both",
        "behind",
        "on the path",
        "client",
        "its other name",
        "knows the other name",
    ];
    assert_eq!(names(&gathered), relevant);
    let evidence = &gathered.evidence.as_ref().unwrap()[0];
    assert_eq!(evidence.configured_path, Some(vec![3, 0]));
    assert_eq!(gathered.vantages.map(|ids| ids.len()), Some(7));
}

/// A segment with a payload.
fn carried(tuple: FourTuple, millis: i64) -> Digest {
    let mut digest = segment(tuple, millis, ACK, 7, 7);
    digest.payload_len = 40;
    digest.payload_hash = Some(0xfedc_ba98_7654_3210);
    digest
}

/// A connection of other hosts.
fn stranger(client_port: u16) -> FourTuple {
    let mut stranger = tuple(client_port);
    stranger.src.addr = "203.0.113.1".parse().unwrap();
    stranger.dst.addr = "203.0.113.2".parse().unwrap();
    stranger
}

/// Also where one slice of time ends between both sides: payloads are indexed by those.
#[tokio::test]
async fn the_other_side_of_a_proxy_is_gathered_where_it_stood() {
    let slice_ends = (((EPOCH >> 39) + 1) << 39) - EPOCH;
    for millis in [0, slice_ends / MS] {
        let store = store().await.asking_everywhere_up_to(0);
        let (near, far) = (tuple(40000), stranger(60000));
        let mut digests = vec![carried(near, millis - 5)];
        digests.extend(refused(40000, millis));
        vantage(&store, "before", VantageKind::Hop, digests).await;
        vantage(&store, "stranger", VantageKind::Hop, Vec::new()).await;
        let behind = vec![carried(far, millis + 4)];
        vantage(&store, "behind", VantageKind::Hop, behind.clone()).await;
        let gathered = gather(&store, near, &[]).await;
        assert_eq!(names(&gathered), ["before", "behind"]);
        let evidence = &gathered.evidence.as_ref().unwrap()[0];
        assert_eq!(evidence.vantages[1].segments, behind);
        assert_eq!(evidence.vantages[0].segments.len(), 3);
    }
}

#[tokio::test]
async fn a_payload_that_more_than_sixteen_carry_is_nobodys_name() {
    for (others, kin) in [(15, 15), (16, 0)] {
        let store = store().await;
        let mut digests = vec![carried(tuple(40000), -5)];
        digests.extend(refused(40000, 0));
        digests.extend((0..others).map(|number| carried(stranger(50000 + number), -4)));
        vantage(&store, "all", VantageKind::Hop, digests).await;
        let gathered = gather(&store, tuple(40000), &[]).await;
        assert_eq!(gathered.kin.flows.len(), kin, "{others} others");
    }
}

#[tokio::test]
async fn few_vantages_are_all_gathered() {
    let store = store().await;
    vantage(&store, "holds", VantageKind::Hop, refused(40000, 0)).await;
    vantage(&store, "idle", VantageKind::Hop, Vec::new()).await;
    let gathered = gather(&store, tuple(40000), &[]).await;
    assert_eq!(names(&gathered), ["holds", "idle"]);
    assert_eq!(gathered.vantages, None);
}

#[tokio::test]
async fn a_question_keeps_whom_it_is_for_and_is_put_once_to_the_same() {
    let store = store().await;
    let asking = |vantages: Option<Vec<i32>>| Asking {
        flow: 5,
        recall: Recall {
            from: 1,
            ..Recall::default()
        },
        vantages,
    };
    let all = [
        asking(None),
        asking(Some(vec![1, 2])),
        asking(Some(Vec::new())),
    ];
    let minute = Duration::from_mins(1);
    let put = store.ask_agents(&all, minute).await.unwrap();
    let whom: Vec<_> = put
        .iter()
        .map(|question| question.vantages.clone())
        .collect();
    assert_eq!(whom, all.clone().map(|asking| asking.vantages));
    assert!(store.ask_agents(&all, minute).await.unwrap().is_empty());
    let open = store.open_questions(None).await.unwrap();
    assert_eq!(open.len(), 3);
    assert!(open.iter().all(|question| put.contains(question)));
}
