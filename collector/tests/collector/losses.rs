//! Losses, given-up digests and stepped clocks, as agents tell them and people read them.

use parallax_collector::store::Store;
use parallax_core::report::{Document, LossAt, LossTotal};
use parallax_core::{LossCause, LossOf, Strength};
use parallax_proto::v1::agent_message::Message as Said;
use parallax_proto::v1::{
    Beat, Loss, LossCause as CauseSaid, LossOf as OfSaid, LossStrength as StrengthSaid, Skip,
};
use tonic::Code;

use crate::agent::{Agent, hello};
use crate::digests::{at, refused};
use crate::server::{Collector, database};

fn loss(cause: CauseSaid, until: Option<i64>, count: Option<u64>) -> Loss {
    Loss {
        from: at(0).nanos(),
        until,
        strength: StrengthSaid::Certain.into(),
        cause: cause.into(),
        of: OfSaid::Packets.into(),
        count,
        next_number: 2,
        detail: None,
    }
}

async fn losses(collector: &Collector) -> Vec<LossTotal> {
    let (status, body) = collector.get("/v1/vantages").await;
    assert_eq!(status, 200);
    let document: Document = serde_json::from_str(&body).unwrap();
    document.vantages[0].losses.clone()
}

#[tokio::test]
async fn a_loss_that_is_told_twice_counts_once_and_is_shown_in_words() {
    let collector = Collector::start(database().await).await;
    let (agent, _) = Agent::connect(&collector, hello("fw-in", 1)).await.unwrap();
    agent.send(0, &refused(40000, 0)).await;
    let until = Some(at(900).nanos());
    for _ in 0..2 {
        agent
            .say(Said::Loss(loss(CauseSaid::Kernel, until, Some(7))))
            .await;
    }
    let mut standing = loss(CauseSaid::Filter, None, None);
    standing.strength = StrengthSaid::Possible.into();
    standing.detail = Some("port 443".to_owned());
    agent.say(Said::Loss(standing)).await;
    assert_eq!(agent.goodbye().await, 2);
    let losses = losses(&collector).await;
    let told: Vec<_> = losses
        .iter()
        .map(|loss| (loss.strength, loss.cause, loss.of, loss.times, loss.count))
        .collect();
    assert_eq!(
        told,
        [
            (
                Strength::Certain,
                LossCause::Kernel,
                LossOf::Packets,
                1,
                Some(7)
            ),
            (
                Strength::Possible,
                LossCause::Filter,
                LossOf::Packets,
                1,
                None
            ),
        ]
    );
    assert_eq!(losses[0].last, Some(at(900)));
    assert!(losses[0].text.contains("7 packets lost"), "{losses:?}");
    let (status, body) = collector.get("/v1/losses?vantage=fw-in&limit=5").await;
    assert_eq!(status, 200);
    let listed: Vec<LossAt> = serde_json::from_str(&body).unwrap();
    assert_eq!(listed.len(), 2);
    assert!(
        listed
            .iter()
            .all(|loss| loss.vantage == "fw-in" && loss.loss.from == at(0))
    );
    let (status, _) = collector.get("/v1/losses?port=5").await;
    assert_eq!(status, 400);
    assert_eq!(losses[1].last, None);
    assert!(losses[1].text.contains("(port 443)"), "{losses:?}");
    collector.stop().await;
}

#[tokio::test]
async fn digests_that_were_given_up_are_not_waited_for() {
    let database = database().await;
    let collector = Collector::start(database.clone()).await;
    let store = Store::open(&database).await.unwrap();
    let (mut agent, _) = Agent::connect(&collector, hello("fw-in", 1)).await.unwrap();
    let skip = |first_number, next_number| {
        Said::Skip(Skip {
            first_number,
            next_number,
        })
    };
    agent.send(0, &refused(40000, 0)).await;
    agent.say(skip(2, 1000)).await;
    agent.committed(1000).await;
    drop(agent);
    let (agent, committed) = Agent::connect(&collector, hello("fw-in", 1)).await.unwrap();
    assert_eq!(committed, 1000);
    agent.say(skip(2, 1000)).await;
    agent.send(1000, &refused(40001, 0)).await;
    assert_eq!(agent.goodbye().await, 1002);
    let rows: Vec<(i64,)> = sqlx::query_as("SELECT number FROM digest ORDER BY number")
        .fetch_all(store.pool())
        .await
        .unwrap();
    assert_eq!(rows, [(0,), (1,), (1000,), (1001,)]);
    let (agent, _) = Agent::connect(&collector, hello("fw-in", 2)).await.unwrap();
    agent.say(skip(5, 9)).await;
    assert_eq!(agent.refusal().await.code(), Code::InvalidArgument);
    collector.stop().await;
}

#[tokio::test]
async fn coverage_goes_on_after_a_clock_was_set_back() {
    let database = database().await;
    let collector = Collector::start(database.clone()).await;
    let store = Store::open(&database).await.unwrap();
    let (agent, _) = Agent::connect(&collector, hello("fw-in", 1)).await.unwrap();
    for (from, until, clock_epoch) in [(5000, 6000, 0), (1000, 2000, 1), (2000, 3000, 1)] {
        agent
            .say(Said::Beat(Beat {
                from: at(from).nanos(),
                until: at(until).nanos() - 1,
                clock_epoch,
                ..Beat::default()
            }))
            .await;
    }
    agent.goodbye().await;
    let rows: Vec<(i64, i64)> = sqlx::query_as(
        "SELECT clock_epoch, (until_ns - from_ns + 1) / 1000000 FROM coverage ORDER BY clock_epoch",
    )
    .fetch_all(store.pool())
    .await
    .unwrap();
    assert_eq!(rows, [(0, 1000), (1, 2000)]);
    collector.stop().await;
}
