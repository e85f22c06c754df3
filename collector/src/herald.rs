//! Tells others when a place begins to forge resets: a webhook, an Alertmanager. What is to be told lies in the database,
//! so that it outlives a collector and of several only one tells each thing.

use std::fmt;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use url::Url;

use crate::meters::{self, Notification};
use crate::post::{Authorities, Post};
use crate::store::{Injection, Store, StoreError, Told};

mod words;

use words::Pages;

/// How long a place must be quiet by default until it counts as quiet.
pub const QUIET: Duration = Duration::from_hours(1);

/// How often is looked for something to tell.
const LOOK: Duration = Duration::from_secs(1);
/// How long one who tells may take until others do. More than an attempt takes.
const LEASE: Duration = Duration::from_mins(1);
/// Notices that one turn takes.
const AT_ONCE: u32 = 4;
/// Notices that wait for one webhook at most; the oldest give way.
const WAITING_MAX: u32 = 1000;
/// A notice that could not be told for so long is given up.
const OLDEST: Duration = Duration::from_hours(24);
/// The longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_mins(5);
/// How often an Alertmanager is told what it was told before: it forgets what nobody repeats.
const REPEAT: Duration = Duration::from_mins(1);
/// How long an Alertmanager is told that a place is quiet.
const ENDED: Duration = Duration::from_mins(15);
/// Places that an Alertmanager is told at most.
const PLACES_MAX: u32 = 1000;
/// How often, and after what time, what is over is forgotten.
const FORGET_EACH: Duration = Duration::from_hours(1);
const FORGET_AFTER: Duration = Duration::from_hours(30 * 24);

/// Whom to tell.
#[derive(Debug, Clone)]
pub struct Settings {
    pub webhooks: Vec<Url>,
    /// Their base addresses, as Prometheus takes them.
    pub alertmanagers: Vec<Url>,
    /// How long a place must be quiet to be told again. Collectors on one database should agree.
    pub quiet: Duration,
    /// Where people reach the pages; `None`: where this collector listens.
    pub pages: Option<Url>,
    /// Whose certificates are believed, beside the system's authorities.
    pub authorities: Authorities,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            webhooks: Vec::new(),
            alertmanagers: Vec::new(),
            quiet: QUIET,
            pages: None,
            authorities: Authorities::default(),
        }
    }
}

/// Somebody who is told.
#[derive(Debug, Clone)]
struct Sink {
    kind: Kind,
    url: Url,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Webhook,
    Alertmanager,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Alertmanager => "alertmanager",
        }
    }
}

/// Its kind and where it is; path, user and password may be secrets.
impl fmt::Display for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = self.url.origin().ascii_serialization();
        write!(f, "{} at {origin}", self.kind.as_str())
    }
}

impl Sink {
    /// What the database calls it.
    fn key(&self) -> String {
        let hash = xxhash_rust::xxh3::xxh3_128(self.url.as_str().as_bytes());
        format!("{}:{hash:032x}", self.kind.as_str())
    }
}

/// Tells until `stop`, each sink in a task of its own. `base`: where this collector listens.
pub async fn run(store: Store, settings: Settings, base: Option<Url>, stop: CancellationToken) {
    let pages = Pages::new(settings.pages.or(base));
    let webhooks = settings
        .webhooks
        .into_iter()
        .map(|url| (Kind::Webhook, url));
    let managers = settings.alertmanagers.into_iter();
    let managers = managers.map(|url| (Kind::Alertmanager, url));
    let mut tasks = JoinSet::new();
    for (kind, url) in webhooks.chain(managers) {
        let sink = Sink { kind, url };
        match Post::new(&settings.authorities) {
            Ok(post) => {
                let herald = Herald {
                    store: store.clone(),
                    key: sink.key(),
                    sink,
                    post,
                    pages: pages.clone(),
                };
                tasks.spawn(herald.run(stop.clone()));
            }
            Err(error) => warn!("{sink} is told nothing: {error}"),
        }
    }
    tasks.spawn(keep(store, settings.quiet, stop));
    while tasks.join_next().await.is_some() {}
}

/// Ends the episodes of quiet places, whoever is told.
async fn keep(store: Store, quiet: Duration, stop: CancellationToken) {
    let mut turns = tokio::time::interval(LOOK);
    let mut forget = tokio::time::interval(FORGET_EACH);
    let mut complaint = Complaint::default();
    loop {
        let done = tokio::select! {
            () = stop.cancelled() => return,
            _ = turns.tick() => store.end_injections(quiet).await,
            _ = forget.tick() => store.forget_notices(FORGET_AFTER).await,
        };
        complaint.note("places that are quiet are not noted as such", done);
    }
}

/// Says once that something fails, not with each attempt.
#[derive(Debug, Default)]
struct Complaint {
    said: bool,
}

impl Complaint {
    fn note(&mut self, what: &str, done: Result<(), StoreError>) {
        match done {
            Ok(()) => self.said = false,
            Err(error) if !self.said => {
                warn!("{what}: {error}");
                self.said = true;
            }
            Err(_) => {}
        }
    }
}

/// Tells one sink.
struct Herald {
    store: Store,
    key: String,
    sink: Sink,
    post: Post,
    pages: Pages,
}

impl Herald {
    async fn run(self, stop: CancellationToken) {
        let mut turns = tokio::time::interval(LOOK);
        let mut complaint = Complaint::default();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = turns.tick() => {}
            }
            // An attempt that has begun is brought to its end: it would be repeated.
            let done = match self.sink.kind {
                Kind::Webhook => self.tell_each().await,
                Kind::Alertmanager => self.tell_all().await,
            };
            complaint.note(&format!("{} is told later", self.sink), done);
        }
    }

    /// Each episode once.
    async fn tell_each(&self) -> Result<(), StoreError> {
        let entered = self.store.enter_notices(&self.key, OLDEST, WAITING_MAX);
        let given_up = entered.await?;
        if given_up > 0 {
            warn!(
                "{given_up} notices were given up: {} did not take them",
                self.sink
            );
            self.count(Notification::Lost, given_up);
        }
        let due = self.store.take_notices(&self.key, LEASE, AT_ONCE).await?;
        for notice in due {
            self.tell_one(&notice).await?;
        }
        Ok(())
    }

    async fn tell_one(&self, notice: &Injection) -> Result<(), StoreError> {
        let body = words::webhook(notice, &self.pages);
        match self.post.json(&self.sink.url, &body).await {
            Ok(()) => {
                info!("{} was told: {}", self.sink, words::sentence(notice));
                self.count(Notification::Sent, 1);
                self.store.notice_told(&self.key, notice.episode).await
            }
            Err(reason) => {
                let pause = pause(notice.attempts);
                self.complain(&reason.to_string(), notice.attempts, pause);
                let failed = self.store.notice_failed(&self.key, notice.episode, pause);
                failed.await
            }
        }
    }

    /// Everything that is so now, again and again.
    async fn tell_all(&self) -> Result<(), StoreError> {
        let Some(failures) = self.store.take_turn(&self.key, LEASE).await? else {
            return Ok(());
        };
        let places = self.store.injections(ENDED, PLACES_MAX).await?;
        if places.is_empty() {
            return self.store.end_turn(&self.key, Told::Yes, REPEAT).await;
        }
        let body = words::alerts(&places, &self.pages, crate::clock::wall());
        let url = words::alerts_url(&self.sink.url);
        match self.post.json(&url, &body).await {
            Ok(()) => {
                self.count(Notification::Sent, places.len() as u64);
                self.store.end_turn(&self.key, Told::Yes, REPEAT).await
            }
            Err(reason) => {
                let pause = pause(failures + 1).min(REPEAT);
                self.complain(&reason.to_string(), failures + 1, pause);
                self.store.end_turn(&self.key, Told::No, pause).await
            }
        }
    }

    fn complain(&self, reason: &str, attempt: u32, pause: Duration) {
        self.count(Notification::Failed, 1);
        warn!(
            attempt,
            "{} was not told: {reason}; again in {} s",
            self.sink,
            pause.as_secs()
        );
    }

    fn count(&self, what: Notification, count: u64) {
        meters::notified(self.sink.kind.as_str(), what, count);
    }
}

/// After the so-manieth failure: a second, twice as long each time.
fn pause(attempts: u32) -> Duration {
    let exponent = attempts.saturating_sub(1).min(16);
    Duration::from_secs(1 << exponent).min(PAUSE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_five_minutes() {
        let seconds = [1, 2, 3, 9, 10, u32::MAX].map(|attempts| pause(attempts).as_secs());
        assert_eq!(seconds, [1, 2, 4, 256, 300, 300]);
    }

    #[test]
    fn a_sink_is_named_without_its_secrets_and_each_url_is_another() {
        let sink = |url: &str| Sink {
            kind: Kind::Webhook,
            url: url.parse().unwrap(),
        };
        let one = sink("https://joe:geheim@hooks.example/T0/secret?token=x");
        assert_eq!(one.to_string(), "webhook at https://hooks.example");
        assert!(!one.key().contains("secret"));
        assert_ne!(one.key(), sink("https://hooks.example/T1").key());
    }
}
