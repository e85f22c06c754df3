//! The judge loop: flows whose evidence changed are judged at once, again while evidence may still
//! come, and again when it comes late.

use parallax_core::time::SECOND;
use parallax_core::{CaptureTime, Coverage};
use tokio::sync::mpsc;

mod docket;
mod judge;
mod shares;
mod spans;

pub use judge::{Judge, Watchers, watchers};

/// How far around a file's coverage resets are judged again: clocks may differ by so much.
const FILE_MARGIN: i64 = 3600 * SECOND;
/// The same for late coverage of live agents.
const LIVE_MARGIN: i64 = 10 * SECOND;
/// Coverage older than this comes late: resets of that time may be settled.
const LATE: i64 = 2 * SECOND;

/// What the judge is told.
#[derive(Debug)]
pub(crate) enum News {
    /// These flows have new evidence; the docket holds them.
    Touched {
        flows: Vec<i64>,
        /// Vantages with flows of which they brought a RST.
        brought: Vec<(i32, i64)>,
    },
    /// Coverage of a live agent's vantage came late.
    Watched {
        vantage_id: i32,
        from: CaptureTime,
        until: CaptureTime,
    },
    /// A file was read to its end.
    WatchedFile {
        from: CaptureTime,
        until: CaptureTime,
    },
}

/// Where news for the judge is handed in. Clones lead to the same judge.
#[derive(Debug, Clone)]
pub struct Court {
    news: mpsc::UnboundedSender<News>,
}

impl Court {
    /// The entrance and the judge's end of it.
    pub(crate) fn open() -> (Self, mpsc::UnboundedReceiver<News>) {
        let (news, receiver) = mpsc::unbounded_channel();
        (Self { news }, receiver)
    }

    /// An entrance without a judge behind it.
    pub fn without_judge() -> Self {
        Self::open().0
    }

    /// New evidence of flows, and which vantage brought a RST of which.
    pub(crate) fn touched(&self, flows: Vec<i64>, brought: Vec<(i32, i64)>) {
        self.tell(News::Touched { flows, brought });
    }

    /// A file that covers this span was read to its end.
    pub(crate) fn watched_file(&self, from: CaptureTime, until: CaptureTime) {
        self.tell(News::WatchedFile {
            from: from.plus(-FILE_MARGIN),
            until: until.plus(FILE_MARGIN),
        });
    }

    /// Spans that a live agent watched at a vantage; those of just now are no news.
    pub(crate) fn watched_live(
        &self,
        vantage_id: i32,
        spans: impl Iterator<Item = Coverage>,
        now: CaptureTime,
    ) {
        let late = spans.filter(|span| now.since(span.until) > LATE);
        let whole = late.fold(None, |whole: Option<(CaptureTime, CaptureTime)>, span| {
            let (from, until) = whole.unwrap_or((span.from, span.until));
            Some((from.min(span.from), until.max(span.until)))
        });
        if let Some((from, until)) = whole {
            self.tell(News::Watched {
                vantage_id,
                from: from.plus(-LIVE_MARGIN),
                until: until.plus(LIVE_MARGIN),
            });
        }
    }

    fn tell(&self, news: News) {
        // Without a judge the collector is stopping; the docket table keeps what was to be judged.
        let _ = self.news.send(news);
    }
}
