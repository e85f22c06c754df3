//! What kernel witnesses say is stored once and comes back with the evidence.

use parallax_collector::store::{Ask, Registered, Store};
use parallax_core::reason::ResetReason;
use parallax_core::testimony::{
    Act, Oath, Prompt, Statement, TapPlace, Testimony, Watch, listeners,
};
use parallax_core::{CaptureTime, Endpoint, FourTuple};
use parallax_proto::testimony::Told;
use parallax_proto::v1::agent_message::Message as Said;
use parallax_proto::v1::collector_message::Message as Answer;

use crate::agent::{Agent, hello};
use crate::digests::{at, refused, tuple};
use crate::load::{hop, portion};
use crate::server::{Collector, database, store};

fn sent(tuple: FourTuple, time: CaptureTime) -> Statement {
    Statement {
        time,
        error: 1500,
        tuple,
        act: Act::Sent {
            reason: Some(ResetReason::from_word("NO_SOCKET")),
            prompt: Prompt::Segment,
        },
    }
}

fn watch(until: i64, lost: u64) -> Watch {
    Watch {
        from: at(-5000),
        until: at(until),
        lost,
        oath: Oath::Everything,
        tap: TapPlace::OwnInterface,
    }
}

fn told(number: u64, first: u64, statements: Vec<Statement>, watches: Vec<Watch>) -> Told {
    Told {
        number,
        first_statement: first,
        statements,
        watches,
        kernel: "6.18".to_owned(),
    }
}

/// A vantage that saw the reset of the flow at this port.
async fn vantage(store: &Store) -> Registered {
    let run = store.register(&hop("server", 1)).await.unwrap();
    let portion = portion(run, 0, refused(40000, 0));
    store.load(&[&portion]).await.unwrap();
    run
}

async fn testimony(store: &Store) -> Testimony {
    let ask = Ask {
        flow: tuple(40000).flow().hash().cast_signed(),
        moment: None,
    };
    let gathered = store.gather(&[ask], &[]).await.unwrap().remove(0);
    gathered.evidence.unwrap()[0].vantages[0].testimony.clone()
}

#[tokio::test]
async fn testimony_comes_back_once_however_often_it_is_told() {
    let store = store().await;
    let run = vantage(&store).await;
    let own = sent(tuple(40000).reversed(), at(1));
    let accepted = Statement {
        act: Act::Accepted,
        ..sent(tuple(40000), at(2))
    };
    let other = sent(tuple(40001).reversed(), at(1));
    let first = told(0, 0, vec![own, other, accepted], vec![watch(100, 0)]);
    for _ in 0..2 {
        store.testify(run, &first).await.unwrap();
    }
    let later = told(1, 3, Vec::new(), vec![watch(300, 0)]);
    store.testify(run, &later).await.unwrap();
    store.testify(run, &first).await.unwrap();
    let back = testimony(&store).await;
    assert_eq!(back.statements, [own, accepted]);
    assert_eq!(back.watches, [watch(300, 0)]);
}

#[tokio::test]
async fn a_span_that_lost_something_never_gets_better() {
    let store = store().await;
    let run = vantage(&store).await;
    for (number, lost) in [(0, 0), (1, 3), (2, 0)] {
        let watch = watch(100 * (number as i64 + 1), lost);
        store
            .testify(run, &told(number, 0, Vec::new(), vec![watch]))
            .await
            .unwrap();
    }
    assert_eq!(testimony(&store).await.watches, [watch(300, 3)]);
}

#[tokio::test]
async fn refusals_of_the_listening_sockets_at_its_ends_come_along_and_no_others() {
    let store = store().await;
    let run = vantage(&store).await;
    let server = tuple(40000).dst;
    let other = Endpoint::new(server.addr, server.port + 1);
    let said: Vec<Statement> = listeners(server)
        .chain(listeners(other))
        .enumerate()
        .map(|(index, tuple)| sent(tuple, at(index as i64)))
        .collect();
    let message = told(0, 0, said.clone(), vec![watch(100, 0)]);
    store.testify(run, &message).await.unwrap();
    assert_eq!(testimony(&store).await.statements, said[..3]);
}

#[tokio::test]
async fn many_refusals_narrow_what_silence_says() {
    let store = store().await;
    let run = vantage(&store).await;
    let server = tuple(40000).dst;
    let listener = listeners(server).next().unwrap();
    let said: Vec<Statement> = (0..3000)
        .map(|index| sent(listener, at(-3000 + index)))
        .collect();
    store
        .testify(run, &told(0, 0, said, vec![watch(100, 0)]))
        .await
        .unwrap();
    let back = testimony(&store).await;
    let [watch] = back.watches[..] else {
        panic!("one span: {:?}", back.watches);
    };
    assert_eq!(watch.from, back.statements[0].time);
    assert!(watch.from > at(-5000));
}

#[tokio::test]
async fn testimony_on_a_stream_is_answered_and_nonsense_is_refused_by_name() {
    let collector = Collector::start(database().await).await;
    let (mut agent, _) = Agent::connect(&collector, hello("server", 1))
        .await
        .unwrap();
    let own = sent(tuple(40000).reversed(), at(1));
    let message = told(7, 0, vec![own], vec![watch(100, 0)]).message();
    agent.say(Said::Testimony(message.clone())).await;
    let stored = loop {
        match agent.hear().await.unwrap() {
            Some(Answer::TestimonyStored(stored)) => break stored,
            Some(Answer::ClockProbe(_)) => {}
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(stored.number, 7);
    let mut nonsense = message;
    nonsense.statements[0].src_addr = vec![1, 2];
    agent.say(Said::Testimony(nonsense)).await;
    let refusal = agent.refusal().await;
    assert!(
        refusal.message().contains("testimony 7: statement 0"),
        "{refusal}"
    );
    collector.stop().await;
}
