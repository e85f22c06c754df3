//! Evidence is complete: everything that the judge may need, and nothing of others.

use parallax_collector::store::{Ask, Gathered, PortionOfFlow, Source, Store};
use parallax_core::{Digest, FlowEvidence, FourTuple, Selection, VantageKind};

use crate::digests::{ACK, RST, SYN, at, refused, segment, tuple};
use crate::load::{beat, hop, portion};
use crate::server::store;

fn ask(port: u16) -> Ask {
    Ask {
        flow: tuple(port).flow().hash().cast_signed(),
        moment: None,
    }
}

async fn gather(store: &Store, port: u16, path: &[String]) -> (FlowEvidence, PortionOfFlow) {
    let mut gathered = store.gather(&[ask(port)], path).await.unwrap();
    let one = gathered.remove(0);
    let mut evidence = one.evidence.unwrap();
    assert_eq!(evidence.len(), 1);
    (evidence.remove(0), one.portion)
}

async fn fill(store: &Store, name: &str, run: u128, digests: Vec<Digest>, selection: Selection) {
    let mut new = hop(name, run);
    new.selection = selection;
    new.source = Source::Live;
    let run = store.register(&new).await.unwrap();
    let mut portion = portion(run, 0, digests);
    portion.beats = vec![beat(-1000, 1000, 10, 0), beat(1000, 2000, 5, 1)];
    store.load(&[&portion]).await.unwrap();
}

#[tokio::test]
async fn every_vantage_is_there_with_its_coverage_also_if_it_saw_nothing() {
    let store = store().await;
    fill(&store, "fw-in", 1, refused(40000, 0), Selection::Context).await;
    fill(&store, "fw-out", 2, Vec::new(), Selection::All).await;
    fill(&store, "server", 3, refused(40000, 5), Selection::All).await;
    let mut host = hop("host", 4);
    let addresses = vec![
        "198.51.100.20".parse().unwrap(),
        "2001:db8::9".parse().unwrap(),
    ];
    host.vantage.kind = VantageKind::Host { addresses };
    store.register(&host).await.unwrap();
    let path = ["server", "fw-in", "unknown"].map(str::to_owned);
    let (evidence, portion) = gather(&store, 40000, &path).await;
    assert_eq!(portion, PortionOfFlow::Whole);
    assert_eq!(evidence.flow, tuple(40000).flow());
    let names: Vec<&str> = evidence
        .vantages
        .iter()
        .map(|vantage| vantage.vantage.name.as_str())
        .collect();
    assert_eq!(names, ["fw-in", "fw-out", "server", "host"]);
    assert_eq!(evidence.configured_path, Some(vec![2, 0]));
    let segments: Vec<usize> = evidence
        .vantages
        .iter()
        .map(|vantage| vantage.segments.len())
        .collect();
    assert_eq!(segments, [2, 0, 2, 0]);
    assert_eq!(evidence.vantages[0].segments, refused(40000, 0));
    assert_eq!(evidence.vantages[0].selection, Selection::Context);
    assert_eq!(evidence.vantages[2].selection, Selection::All);
    for vantage in &evidence.vantages[..3] {
        assert_eq!(vantage.coverage.len(), 2, "{}", vantage.vantage.name);
        assert_eq!(vantage.coverage[0].from, at(-1000));
        assert_eq!(vantage.coverage[1].dropped, 1);
    }
    assert!(evidence.vantages[3].coverage.is_empty());
    assert_eq!(evidence.vantages[3].vantage, host.vantage);
}

#[tokio::test]
async fn handshakes_of_neighbouring_flows_come_along_and_nothing_else_does() {
    let store = store().await;
    let mut digests = refused(40000, 0);
    let between = tuple(40001);
    let mut from_elsewhere = tuple(40002);
    from_elsewhere.src.addr = "203.0.113.5".parse().unwrap();
    let mut other_port = from_elsewhere;
    other_port.dst.port = 80;
    let near = [
        segment(between, -50, SYN, 1, 0),
        segment(between.reversed(), -49, SYN | ACK, 5, 2),
        segment(from_elsewhere.reversed(), 60, SYN | ACK, 5, 2),
    ];
    let carried = [
        segment(between, -48, ACK, 2, 6),
        segment(between, 70, RST | SYN, 2, 6),
    ];
    digests.extend(near);
    digests.extend(carried);
    digests.extend([
        // Too long ago, or of strangers.
        segment(between, -10_050, ACK, 2, 6),
        segment(from_elsewhere, 59, SYN, 1, 0),
        segment(other_port.reversed(), 60, SYN | ACK, 5, 2),
    ]);
    fill(&store, "fw-in", 1, digests, Selection::All).await;
    let (evidence, _) = gather(&store, 40000, &[]).await;
    assert_eq!(evidence.vantages[0].nearby.handshakes(), near);
    let others: Vec<Digest> = evidence.vantages[0]
        .nearby
        .iter()
        .skip(3)
        .copied()
        .collect();
    assert_eq!(others, carried);
}

#[tokio::test]
async fn the_nearest_handshakes_are_taken_when_there_are_many() {
    let store = store().await;
    let mut digests = refused(40000, 0);
    for step in 1..=200_u16 {
        let other = tuple(41000 + step);
        digests.push(segment(other, -i64::from(step), SYN, 1, 0));
        digests.push(segment(other, i64::from(step) + 1, SYN, 1, 0));
    }
    fill(&store, "fw-in", 1, digests, Selection::All).await;
    let (evidence, _) = gather(&store, 40000, &[]).await;
    let nearby = evidence.vantages[0].nearby.handshakes();
    assert_eq!(nearby.len(), parallax_core::evidence::NEARBY_MAX);
    assert!(
        nearby
            .iter()
            .all(|digest| digest.time.since(at(0)).abs() < 40_000_000)
    );
}

/// Of flows gathered together each gets what it gets by itself, also where more lies between their resets than is asked for.
#[tokio::test]
async fn what_lies_between_resets_is_near_to_each_however_much_it_is() {
    let store = store().await;
    let mut other_client = tuple(40002);
    other_client.src.addr = "192.0.2.99".parse().unwrap();
    let flows = [tuple(40000), tuple(40001), other_client];
    // Each with numbers of its own: else all were one connection.
    let refused = |tuple: FourTuple, millis: i64, number: u32| {
        let request = segment(tuple, millis, SYN, number, 0);
        let refusal = segment(tuple.reversed(), millis + 1, RST | ACK, 0, number + 1);
        [request, refusal]
    };
    let mut digests = Vec::new();
    for ((flow, millis), number) in flows.into_iter().zip([0, 9000, 9002]).zip(1..) {
        digests.extend(refused(flow, millis, number * 1_000_000));
    }
    for number in 0..300_u16 {
        let millis = 100 + i64::from(number) * 29;
        let own = 5_000_000 + u32::from(number) * 2000;
        digests.extend(refused(tuple(41000 + number), millis, own));
        let answered = tuple(42000 + number).reversed();
        digests.push(segment(
            answered,
            millis + 2,
            SYN | ACK,
            own + 1000,
            own + 1500,
        ));
    }
    digests.sort_by_key(|digest| digest.time);
    fill(&store, "fw", 1, digests, Selection::All).await;
    let asks = flows.map(|tuple| Ask {
        flow: tuple.flow().hash().cast_signed(),
        moment: None,
    });
    let nearby = |gathered: &Gathered| {
        let evidence = gathered.evidence.as_ref().unwrap();
        evidence[0].vantages[0].nearby.clone()
    };
    let together = store.gather(&asks, &[]).await.unwrap();
    for (ask, together) in asks.iter().zip(&together) {
        let alone = store.gather(&[*ask], &[]).await.unwrap();
        assert_eq!(nearby(together), nearby(&alone[0]));
        assert!(nearby(together).handshakes().len() > 60);
    }
}

#[tokio::test]
async fn of_a_huge_flow_the_part_around_the_reset_is_taken_and_it_says_so() {
    let store = store().await;
    let there = tuple(40000);
    let mut digests: Vec<Digest> = (0..6000)
        .map(|step| segment(there, step, ACK, step as u32, 0))
        .collect();
    digests[0].flags.0 = SYN;
    digests[4000].flags.0 = RST;
    fill(&store, "fw-in", 1, digests, Selection::All).await;
    let (evidence, portion) = gather(&store, 40000, &[]).await;
    assert_eq!(portion, PortionOfFlow::Part);
    let segments = &evidence.vantages[0].segments;
    assert!(segments.len() <= 4200, "{}", segments.len());
    assert!(segments[0].is_syn(), "how it began is there");
    assert!(segments.iter().any(Digest::is_rst));
    assert!(segments.iter().any(|digest| digest.time == at(5000)));
}

#[tokio::test]
async fn a_moment_chooses_among_resets_far_apart() {
    let store = store().await;
    let there = tuple(40000);
    let mut digests: Vec<Digest> = (0..9000)
        .map(|step| segment(there, step, ACK, step as u32, 0))
        .collect();
    digests[100].flags.0 = RST;
    digests[8999].flags.0 = RST;
    fill(&store, "fw-in", 1, digests, Selection::All).await;
    let newest = gather(&store, 40000, &[]).await.0;
    assert!(
        newest.vantages[0]
            .segments
            .iter()
            .any(|digest| digest.time == at(8999))
    );
    let mut early = ask(40000);
    early.moment = Some(at(100));
    let gathered = store.gather(&[early], &[]).await.unwrap().remove(0);
    let early = gathered.evidence.unwrap().remove(0);
    assert!(
        early.vantages[0]
            .segments
            .iter()
            .any(|digest| digest.time == at(100))
    );
    assert!(
        !early.vantages[0]
            .segments
            .iter()
            .any(|digest| digest.time == at(8999))
    );
}

#[tokio::test]
async fn many_flows_are_gathered_at_once_and_a_flow_without_resets_is_empty() {
    let store = store().await;
    let mut digests: Vec<Digest> = (0..50).flat_map(|port| refused(40000 + port, 0)).collect();
    digests.push(segment(tuple(50000), 0, SYN, 1, 0));
    fill(&store, "fw-in", 1, digests, Selection::All).await;
    let asks: Vec<Ask> = (0..50)
        .map(|port| ask(40000 + port))
        .chain([ask(50000)])
        .collect();
    let gathered = store.gather(&asks, &[]).await.unwrap();
    for (port, gathered) in (40000..).zip(&gathered[..50]) {
        let evidence = gathered.evidence.as_ref().unwrap();
        // All of them began with one number, so that each may be another under a new name.
        let own = |digest: &&Digest| digest.tuple.flow() == tuple(port).flow();
        let segments = &evidence[0].vantages[0].segments;
        let found: Vec<Digest> = segments.iter().filter(own).copied().collect();
        assert_eq!(found, refused(port, 0));
        assert_eq!(gathered.docket, Some(1));
    }
    assert!(gathered[50].evidence.as_ref().unwrap().is_empty());
}

/// The same connection from another client's address, as a translator shows it.
fn translated(port: u16) -> FourTuple {
    let mut tuple = tuple(port);
    tuple.src.addr = "203.0.113.9".parse().unwrap();
    tuple
}

fn hash(tuple: FourTuple) -> i64 {
    tuple.flow().hash().cast_signed()
}

/// The server's reset.
fn reset(tuple: FourTuple, millis: i64, seq: u32) -> Digest {
    segment(tuple.reversed(), millis, RST, seq, 0)
}

#[tokio::test]
async fn connections_of_which_only_the_resets_are_seen_are_kin_by_their_number() {
    let store = store().await;
    let (few, many, none) = (40000, 40001, 40002);
    // Of one all is read at first; of another there is more than that (64 rows of 96 segments).
    let resets = |of: fn(u16) -> FourTuple| -> Vec<Digest> {
        let long = (0..64 * 96).map(move |n| segment(of(many), n / 8, ACK, n as u32, 0));
        [(few, 777), (many, 778), (none, 0)]
            .map(|(port, number)| reset(of(port), 0, number))
            .into_iter()
            .chain(long)
            .collect()
    };
    fill(&store, "in", 1, resets(tuple), Selection::All).await;
    fill(&store, "out", 2, resets(translated), Selection::All).await;
    let asks = [few, many, none].map(ask);
    let gathered = store.gather(&asks, &[]).await.unwrap();
    let kin = |index: usize| {
        gathered[index]
            .kin
            .flows
            .iter()
            .copied()
            .collect::<Vec<i64>>()
    };
    assert_eq!(kin(0), [hash(translated(few))]);
    assert_eq!(kin(1), [hash(translated(many))]);
    assert_eq!(kin(2), [0; 0], "0 is nobody's number");
}

#[tokio::test]
async fn of_many_resets_of_one_number_those_of_the_same_server_come_first() {
    let store = store().await;
    let port = 40000;
    // More than are taken, all of other servers, and before it in the order of their hashes.
    let crowd = (1..=u16::MAX).map(|number| {
        let mut other = tuple(port);
        let [high, low] = number.to_be_bytes();
        other.dst.addr = std::net::Ipv4Addr::new(198, 51, high, low).into();
        other
    });
    let before =
        crowd.filter(|other| hash(*other) < hash(translated(port)) && other.dst != tuple(port).dst);
    let mut digests: Vec<Digest> = before.take(80).map(|other| reset(other, 5, 777)).collect();
    assert_eq!(digests.len(), 80);
    digests.extend([reset(tuple(port), 0, 777), reset(translated(port), 1, 777)]);
    fill(&store, "in", 1, digests, Selection::All).await;
    let gathered = store.gather(&[ask(port)], &[]).await.unwrap();
    assert!(gathered[0].kin.flows.contains(&hash(translated(port))));
}
