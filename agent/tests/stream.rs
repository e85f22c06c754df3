//! Delivery over real gRPC: nothing is lost, nothing is stored twice, whatever breaks.

#[path = "stream/ingest.rs"]
mod ingest;
#[path = "stream/program.rs"]
mod program;
#[path = "stream/scrape.rs"]
mod scrape;

use std::time::Duration;

use ingest::{Plan, TestCollector};
use parallax_agent::outbox::Span;
use parallax_agent::spool::Spool;
use parallax_agent::stream::{
    Delivery, FEED_MAX, Feed, Identity, LINGER, PACE, Pressure, Progress, StreamError,
};
use parallax_core::decode::UnreadCounts;
use parallax_core::digest::{IpFields, LinkFields, TcpFlags, TcpOptions};
use parallax_core::{
    CaptureTime, Coverage, Digest, Endpoint, FourTuple, Selection, TcpSeq, Vantage, VantageKind,
};
use parallax_proto::v1::CaptureSource;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tonic::Status;

fn digest(seq: u32, flags: TcpFlags) -> Digest {
    Digest {
        time: CaptureTime::from_nanos(i64::from(seq)),
        tuple: FourTuple::new(
            Endpoint::new("192.0.2.1".parse().unwrap(), 40_000),
            Endpoint::new("198.51.100.1".parse().unwrap(), 443),
        ),
        seq: TcpSeq(seq),
        ack: TcpSeq(0),
        flags,
        window: 0,
        payload_len: 0,
        payload_hash: None,
        options: TcpOptions::default(),
        rst_reason: None,
        ip: IpFields::default(),
        link: LinkFields::default(),
    }
}

fn acks(seqs: std::ops::Range<u32>) -> Vec<Digest> {
    seqs.map(|seq| digest(seq, TcpFlags::ACK)).collect()
}

/// Ten nanoseconds, the `index`th of them.
fn span(index: i64) -> Span {
    Span {
        coverage: Coverage {
            from: CaptureTime::from_nanos(index * 10),
            until: CaptureTime::from_nanos(index * 10 + 9),
            received: 1,
            dropped: 0,
        },
        unread: UnreadCounts::default(),
        epoch: 0,
    }
}

const LIVE: Pressure = Pressure::Lose {
    drain: Duration::from_secs(20),
};

struct Sending {
    feed: mpsc::Sender<Feed>,
    progress: watch::Receiver<Progress>,
    ended: JoinHandle<Result<Progress, StreamError>>,
}

fn start(url: &str, pressure: Pressure, outbox: usize) -> Sending {
    let identity = Identity {
        vantage: Vantage {
            name: "fw-in".to_owned(),
            kind: VantageKind::Hop,
        },
        source: CaptureSource::Live,
        selection: Selection::All,
        interfaces: vec!["eth0".to_owned()],
        filter: "tcp".to_owned(),
        snaplen: 192,
    };
    let delivery = Delivery {
        collectors: vec![url.to_owned()],
        orders: None,
        meter: std::sync::Arc::default(),
        trust: parallax_agent::trust::Trust::default(),
        outside: parallax_agent::stream::Outside::default(),
        hello: identity.hello(),
        pressure,
        outbox,
        spool: Spool::default(),
    };
    let (feed, receiver) = mpsc::channel(64);
    let (tell, progress) = watch::channel(Progress::default());
    Sending {
        feed,
        progress,
        ended: tokio::spawn(delivery.run(receiver, tell)),
    }
}

impl Sending {
    async fn digests(&self, digests: Vec<Digest>) {
        self.feed.send(Feed::Digests(digests)).await.unwrap();
    }

    async fn until(&mut self, reached: impl FnMut(&Progress) -> bool) {
        let waiting = self.progress.wait_for(reached);
        tokio::time::timeout(Duration::from_secs(30), waiting)
            .await
            .expect("no progress within 30 s")
            .unwrap();
    }

    async fn end(self) -> Result<Progress, StreamError> {
        drop(self.feed);
        tokio::time::timeout(Duration::from_secs(30), self.ended)
            .await
            .expect("no end within 30 s")
            .unwrap()
    }
}

fn seqs(digests: &[Digest]) -> Vec<u32> {
    digests.iter().map(|digest| digest.seq.0).collect()
}

#[tokio::test]
async fn connections_that_break_lose_nothing_and_repeat_only_what_was_not_committed() {
    let collector = TestCollector::new(Plan {
        commit_each: 2,
        break_first: 4,
        ..Plan::default()
    });
    let running = collector.listen(None);
    let sending = start(&running.url(), LIVE, 1 << 18);
    let count = 20 * FEED_MAX as u32;
    for chunk in 0..20 {
        let from = chunk * FEED_MAX as u32;
        sending.digests(acks(from..from + FEED_MAX as u32)).await;
        let watched = Feed::Watched(span(i64::from(chunk)));
        sending.feed.send(watched).await.unwrap();
    }
    let progress = sending.end().await.unwrap();
    assert_eq!(progress.numbered, u64::from(count));
    assert_eq!(progress.committed, u64::from(count));

    let shelf = collector.shelf();
    assert_eq!(shelf.violations, Vec::<String>::new());
    assert_eq!(seqs(&shelf.stored), (0..count).collect::<Vec<u32>>());
    assert_eq!(shelf.sessions.len(), 5);
    for session in &shelf.sessions {
        assert_eq!(session.run_id, shelf.sessions[0].run_id);
        assert_eq!(session.batches[0].0, session.welcomed);
        let mut next = session.welcomed;
        for (first, len) in &session.batches {
            assert_eq!(*first, next);
            next += *len as u64;
        }
    }
    let sent: usize = shelf
        .sessions
        .iter()
        .flat_map(|session| &session.batches)
        .map(|(_, len)| len)
        .sum();
    assert!(sent > count as usize, "the third batches went again");
    assert!(shelf.sessions[4].said_goodbye);
    let covered: Vec<(i64, i64)> = shelf
        .beats
        .values()
        .map(|beat| (beat.from, beat.until))
        .collect();
    assert_eq!(covered[0].0, 0);
    assert!(covered.windows(2).all(|pair| pair[0].1 + 1 == pair[1].0));
    assert_eq!(covered.last().unwrap().1, 199);
}

#[tokio::test]
async fn resets_that_follow_each_other_closely_leave_together() {
    let collector = TestCollector::new(Plan {
        commit_each: 1,
        ..Plan::default()
    });
    let running = collector.listen(None);
    let mut sending = start(&running.url(), LIVE, 1 << 18);
    let begun = Instant::now();
    for seq in 0..100 {
        sending.digests(vec![digest(seq, TcpFlags::RST)]).await;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    sending.until(|progress| progress.committed == 100).await;
    // The last ones leave by themselves.
    let paces = begun.elapsed().as_nanos() / PACE.as_nanos();
    sending.end().await.unwrap();
    let shelf = collector.shelf();
    assert_eq!(seqs(&shelf.stored), (0..100).collect::<Vec<u32>>());
    let batches = shelf.sessions[0].batches.len() as u128;
    assert!(batches <= paces + 1, "{batches} in {paces} times PACE");
}

#[tokio::test]
async fn batches_come_packed_and_in_columns_where_the_collector_takes_them_so() {
    for old in [false, true] {
        let collector = TestCollector::new(Plan {
            commit_each: 1,
            old,
            ..Plan::default()
        });
        let running = collector.listen(None);
        let sending = start(&running.url(), LIVE, 1 << 18);
        sending.digests(acks(0..1000)).await;
        let progress = sending.end().await.unwrap();
        assert_eq!(progress.committed, 1000);
        let shelf = collector.shelf();
        assert_eq!(seqs(&shelf.stored), (0..1000).collect::<Vec<u32>>());
        let session = &shelf.sessions[0];
        assert_eq!((session.packed > 0, session.in_columns > 0), (!old, !old));
    }
}

#[tokio::test]
async fn a_collector_that_is_killed_and_comes_back_gets_what_it_has_not_stored() {
    let collector = TestCollector::new(Plan {
        commit_each: 1,
        ..Plan::default()
    });
    let running = collector.listen(None);
    let address = running.address;
    let mut sending = start(&running.url(), LIVE, 1 << 18);
    sending.digests(acks(0..1000)).await;
    sending.until(|progress| progress.committed == 1000).await;
    running.kill().await;
    sending.digests(acks(1000..3000)).await;
    for index in 0..50 {
        let watched = Feed::Watched(span(index));
        sending.feed.send(watched).await.unwrap();
    }
    sending.until(|progress| progress.numbered >= 1000).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let _running = collector.listen(Some(address));
    sending.until(|progress| progress.committed == 3000).await;
    let progress = sending.end().await.unwrap();
    assert_eq!((progress.numbered, progress.lost), (3000, 0));

    let shelf = collector.shelf();
    assert_eq!(shelf.violations, Vec::<String>::new());
    assert_eq!(seqs(&shelf.stored), (0..3000).collect::<Vec<u32>>());
    let last = shelf.sessions.last().unwrap();
    assert_eq!(last.welcomed, 1000);
    assert_eq!(last.batches[0].0, 1000, "nothing committed goes again");
    let covered: i64 = shelf
        .beats
        .values()
        .map(|beat| beat.until - beat.from + 1)
        .sum();
    assert_eq!(covered, 500, "the outage is covered");
}

#[tokio::test]
async fn a_live_agent_outlasts_a_collector_that_is_away_and_says_what_it_lost() {
    let collector = TestCollector::new(Plan::default());
    let running = collector.listen(None);
    let (address, url) = (running.address, running.url());
    running.kill().await;
    let sending = start(&url, LIVE, 1600);
    sending.digests(acks(0..2000)).await;
    sending.digests(vec![digest(9999, TcpFlags::RST)]).await;
    sending.feed.send(Feed::Watched(span(0))).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let _running = collector.listen(Some(address));
    let progress = sending.end().await.unwrap();
    assert_eq!(progress.committed, 2001);
    let shelf = collector.shelf();
    assert_eq!(shelf.violations, Vec::<String>::new());
    assert_eq!(shelf.stored.last().unwrap().seq, TcpSeq(9999));
    assert_eq!(shelf.stored.len() as u64 + progress.lost, 2001);
    let counted: u64 = shelf.losses.iter().filter_map(|loss| loss.count).sum();
    assert_eq!(counted, progress.lost);
}

#[tokio::test]
async fn a_replay_waits_for_room_and_loses_nothing() {
    let collector = TestCollector::new(Plan {
        commit_each: 1,
        break_first: 3,
        ..Plan::default()
    });
    let running = collector.listen(None);
    let block = Pressure::Block {
        give_up: Duration::from_secs(10),
    };
    let sending = start(&running.url(), block, 2 * FEED_MAX);
    for chunk in 0..30 {
        let from = chunk * FEED_MAX as u32;
        sending.digests(acks(from..from + FEED_MAX as u32)).await;
    }
    let progress = sending.end().await.unwrap();
    assert_eq!(progress.lost, 0);
    assert_eq!(progress.committed, 30 * FEED_MAX as u64);
    assert_eq!(collector.shelf().violations, Vec::<String>::new());
}

#[tokio::test]
async fn a_reset_does_not_wait_for_company_and_other_digests_do() {
    let collector = TestCollector::new(Plan {
        commit_each: 1,
        ..Plan::default()
    });
    let running = collector.listen(None);
    let mut sending = start(&running.url(), LIVE, 1 << 18);
    sending.digests(acks(0..1)).await;
    sending.until(|progress| progress.committed == 1).await;
    // The second reset follows the first within its pace.
    let kinds = [TcpFlags::RST, TcpFlags::RST, TcpFlags::ACK];
    let mut quickest = [Duration::MAX; 3];
    for round in 0..30_u32 {
        let flags = kinds[round as usize % 3];
        let before = Instant::now();
        sending.digests(vec![digest(round, flags)]).await;
        let due = u64::from(round) + 2;
        sending.until(|progress| progress.committed == due).await;
        let quickest = &mut quickest[round as usize % 3];
        *quickest = before.elapsed().min(*quickest);
    }
    assert!(quickest[0] < LINGER, "a reset took {:?}", quickest[0]);
    assert!(quickest[1] < LINGER, "the next took {:?}", quickest[1]);
    assert!(quickest[2] >= LINGER, "an ACK took {:?}", quickest[2]);
}

#[tokio::test]
async fn a_refusal_ends_delivery_and_names_the_vantage_or_the_reason() {
    for (status, expected) in [
        (
            Status::failed_precondition("another agent is connected"),
            "vantage \"fw-in\": the collector at",
        ),
        (Status::invalid_argument("nonsense"), "refuses what this"),
        (Status::unimplemented("what?"), "is no collector: what?"),
    ] {
        let collector = TestCollector::new(Plan {
            refuse: Some(status),
            ..Plan::default()
        });
        let running = collector.listen(None);
        let sending = start(&running.url(), LIVE, 1000);
        let error = sending.end().await.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[tokio::test]
async fn a_replay_without_a_collector_gives_up_in_time_and_says_where() {
    let running = TestCollector::new(Plan::default()).listen(None);
    let url = running.url();
    running.kill().await;
    let block = Pressure::Block {
        give_up: Duration::from_millis(400),
    };
    let before = Instant::now();
    let error = start(&url, block, 10_000).end().await.unwrap_err();
    assert!(before.elapsed() < Duration::from_secs(5));
    let error = error.to_string();
    assert!(
        error.starts_with(&format!(
            "cannot reach a collector at {url}: Connection refused"
        )),
        "{error}"
    );
}

#[tokio::test]
async fn an_address_that_is_none_is_refused_at_once() {
    for url in ["127.0.0.1:7600", "https://127.0.0.1:7600", "http://", "x y"] {
        let error = start(url, LIVE, 1000).end().await.unwrap_err();
        assert!(
            matches!(error, StreamError::BadUrl { .. }),
            "{url}: {error}"
        );
    }
}
