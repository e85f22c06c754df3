//! A live agent without a capture: it connects, says what it watched, and leaves.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use parallax_agent::outbox::Span;
use parallax_agent::spool::Spool;
use parallax_agent::stream::{Delivery, Feed, Identity, Pressure};
use parallax_core::decode::UnreadCounts;
use parallax_core::{CaptureTime, Coverage, Selection, Vantage, VantageKind};
use parallax_proto::v1::CaptureSource;
use tokio::sync::{mpsc, watch};

use crate::live::now;

/// A connected agent; it says goodbye with [`StandIn::leave`].
pub struct StandIn {
    feed: mpsc::Sender<Feed>,
    works: JoinHandle<Result<()>>,
}

impl StandIn {
    /// Connects as a hop of this name.
    pub fn connect(collector: &str, vantage: &str) -> Self {
        let (feed, taken) = mpsc::channel(16);
        let identity = Identity {
            vantage: Vantage {
                name: vantage.to_owned(),
                kind: VantageKind::Hop,
            },
            source: CaptureSource::Live,
            selection: Selection::Context,
            interfaces: vec!["none".to_owned()],
            filter: String::new(),
            snaplen: 192,
        };
        let delivery = Delivery {
            collectors: vec![collector.to_owned()],
            trust: parallax_agent::trust::Trust::default(),
            hello: identity.hello(),
            pressure: Pressure::Lose {
                drain: Duration::from_secs(5),
            },
            outbox: 1024,
            spool: Spool::default(),
            orders: None,
            meter: Arc::default(),
            outside: parallax_agent::stream::Outside::default(),
        };
        let works = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .context("a runtime for the stand-in")?;
            let (progress, _) = watch::channel(parallax_agent::stream::Progress::default());
            runtime
                .block_on(delivery.run(taken, progress))
                .map(drop)
                .context("the stand-in's stream")
        });
        Self { feed, works }
    }

    /// Says that it watched the last second without loss.
    pub fn beat(&self) -> Result<()> {
        let until = now();
        let span = Span {
            coverage: Coverage {
                from: CaptureTime::from_nanos(until - 1_000_000_000),
                until: CaptureTime::from_nanos(until),
                received: 10,
                dropped: 0,
            },
            unread: UnreadCounts::default(),
            epoch: 0,
        };
        self.feed
            .blocking_send(Feed::Watched(span))
            .context("the stand-in is gone")
    }

    /// Says goodbye.
    pub fn leave(self) -> Result<()> {
        drop(self.feed);
        self.works
            .join()
            .map_err(|_| anyhow::anyhow!("the stand-in panicked"))?
    }
}
