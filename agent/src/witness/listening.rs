//! The witness's thread: reads, keeps what concerns its host, and says up to when it heard everything.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parallax_core::CaptureTime;
use parallax_core::testimony::{Act, Line, Oath, Statement, TapPlace, Watch, read_line};
use parallax_core::time::{MILLISECOND, SECOND};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tracing::{debug, warn};

use super::addresses::{self, Found};
use super::clock::{self, Offset};
use super::pipe::Drained;
use super::tracefs::Instance;
use super::{Report, WitnessOptions};
use crate::stream::Feed;
use crate::veil::Veil;

/// How often it reports.
const REPORT: i64 = 200 * MILLISECOND;
/// An event older than this has been committed to its buffer.
const SETTLE: i64 = 10 * MILLISECOND;
/// How often the host's addresses are looked for.
const LOOK: i64 = 5 * SECOND;
/// A loss in the agent spoils the span around it: spans are no longer than this.
const SPAN_MAX: i64 = 60 * SECOND;
/// Octets of text read in one turn.
const TURN: usize = 4 << 20;
/// Statements that wait for room in the feed.
const WAITING_MAX: usize = 16_384;

pub(super) struct Listening {
    instance: Instance,
    /// What the kernel allows to swear to.
    kernel_oath: Oath,
    kernel: Arc<str>,
    host: Vec<IpAddr>,
    veil: Option<Veil>,
    feed: mpsc::Sender<Feed>,
    offset: Offset,
    overrun: u64,
    looked_at: CaptureTime,
    span: Span,
    heard: Heard,
    reported_at: CaptureTime,
}

/// Statements since the last report that went out.
struct Heard {
    statements: Vec<Statement>,
    /// Lost since the last span was told.
    lost: u64,
    rate: Rate,
}

/// So many statements a second.
struct Rate {
    a_second: u32,
    second: i64,
    left: u32,
}

impl Rate {
    /// Whether a statement of this time may still be told.
    fn allows(&mut self, time: CaptureTime) -> bool {
        let second = time.nanos() / SECOND;
        if second != self.second {
            self.second = second;
            self.left = self.a_second;
        }
        self.left = match self.left.checked_sub(1) {
            Some(left) => left,
            None => return false,
        };
        true
    }
}

/// The span that is listened to now.
#[derive(Debug, Clone, Copy)]
struct Span {
    from: CaptureTime,
    /// Up to when it has been told.
    told: CaptureTime,
    oath: Oath,
    tap: TapPlace,
}

impl Span {
    /// The span up to `until`; with a loss only what was not told before, and a new one begins after it.
    fn told_up_to(&mut self, until: CaptureTime, lost: u64) -> Option<Watch> {
        if until <= self.told {
            // The clock was set back: what was told stands, and a new span begins.
            if self.told.since(until) > SECOND {
                self.begin(until);
            }
            return None;
        }
        let long = until.since(self.from) > SPAN_MAX;
        if long || lost > 0 {
            self.from = self.told.plus(1);
        }
        let watch = Watch {
            from: self.from,
            until,
            lost,
            oath: self.oath,
            tap: self.tap,
        };
        self.told = until;
        if lost > 0 {
            self.from = until.plus(1);
        }
        Some(watch)
    }

    fn begin(&mut self, at: CaptureTime) {
        self.from = at.plus(1);
        self.told = at;
    }
}

impl Listening {
    pub fn new(
        instance: Instance,
        kernel_oath: Oath,
        kernel: Arc<str>,
        options: &WitnessOptions,
        feed: mpsc::Sender<Feed>,
    ) -> Self {
        let now = clock::now();
        let offset = Offset::sample(instance.clock());
        let mut listening = Self {
            instance,
            kernel_oath,
            kernel,
            host: options.host.clone(),
            veil: options.veil.clone(),
            feed,
            offset,
            overrun: 0,
            looked_at: now,
            span: Span {
                from: now,
                told: now,
                oath: kernel_oath,
                tap: TapPlace::Elsewhere,
            },
            heard: Heard {
                statements: Vec::new(),
                lost: 0,
                rate: Rate {
                    a_second: options.rate,
                    second: 0,
                    left: 0,
                },
            },
            reported_at: now,
        };
        (listening.span.oath, listening.span.tap) = listening.standing();
        if listening.span.oath == Oath::Nothing {
            warn!(
                "kernel witness: not all addresses of --host are in this kernel's network namespaces; \
                 what it hears counts, its silence does not"
            );
        }
        listening
    }

    /// Listens for a moment; whether to go on.
    pub fn turn(&mut self) -> bool {
        let patience = self.reported_at.plus(REPORT).since(clock::now());
        let patience = Duration::from_nanos(patience.clamp(MILLISECOND, REPORT).cast_unsigned());
        let Some(pipe) = self.instance.pipe() else {
            return false;
        };
        pipe.wait(patience);
        let now = clock::now();
        let due = now.since(self.reported_at) >= REPORT || now < self.reported_at;
        match self.read() {
            Ok(Drained::Empty) if due => {
                self.reported_at = now;
                self.report(now)
            }
            Ok(_) => true,
            Err(error) => {
                warn!("the kernel witness ends: {error}");
                false
            }
        }
    }

    /// The last report.
    pub fn end(&mut self) {
        let now = clock::now();
        if matches!(self.read(), Ok(Drained::Empty)) {
            self.report(now);
        }
    }

    fn read(&mut self) -> std::io::Result<Drained> {
        let before = self.offset;
        let after = Offset::sample(self.instance.clock());
        self.offset = after;
        let (heard, host) = (&mut self.heard, &self.host);
        let Some(pipe) = self.instance.pipe() else {
            return Ok(Drained::Empty);
        };
        pipe.drain(TURN, &mut |line| {
            heard.line(line, host, |trace| after.apply(before, trace));
        })
    }

    fn report(&mut self, now: CaptureTime) -> bool {
        let overrun = self.instance.overrun().unwrap_or(u64::MAX);
        // The lines about losses tell the same again, later.
        self.heard.lost = self.heard.lost.max(overrun.saturating_sub(self.overrun));
        self.overrun = overrun;
        self.look(now);
        match self.feed.try_reserve() {
            Ok(permit) => {
                let lost = std::mem::take(&mut self.heard.lost);
                let mut statements = std::mem::take(&mut self.heard.statements);
                if let Some(veil) = &mut self.veil {
                    for statement in &mut statements {
                        statement.tuple = veil.tuple(statement.tuple);
                    }
                }
                permit.send(Feed::Witnessed(Report {
                    statements,
                    watch: self.span.told_up_to(now.plus(-SETTLE), lost),
                    kernel: Arc::clone(&self.kernel),
                }));
                true
            }
            Err(TrySendError::Full(())) => true,
            Err(TrySendError::Closed(())) => false,
        }
    }

    /// Looks again for the host's addresses; containers come and go.
    fn look(&mut self, now: CaptureTime) {
        if now.since(self.looked_at).saturating_abs() < LOOK {
            return;
        }
        self.looked_at = now;
        let standing = self.standing();
        if standing != (self.span.oath, self.span.tap) {
            debug!("kernel witness: swears to {standing:?} from now on");
            (self.span.oath, self.span.tap) = standing;
            self.span.begin(now);
        }
    }

    fn standing(&self) -> (Oath, TapPlace) {
        match addresses::look_for(&self.host) {
            Found::All(tap) => (self.kernel_oath, tap),
            Found::Missing => (Oath::Nothing, TapPlace::Elsewhere),
        }
    }
}

impl Heard {
    fn line(&mut self, line: &str, host: &[IpAddr], at: impl Fn(i64) -> (CaptureTime, i64)) {
        let (time, tuple, act) = match read_line(line) {
            Line::Event { time, tuple, act } => (time, tuple, act),
            Line::Lost(count) => {
                self.lost = self.lost.saturating_add(count);
                return;
            }
            Line::Unreadable => {
                self.lost = self.lost.saturating_add(1);
                return;
            }
            Line::Other => return,
        };
        let own = match act {
            Act::Sent { .. } => tuple.src.addr,
            Act::Accepted => tuple.dst.addr,
        };
        // A listening socket may be bound to no address: whose it is, the judge sees by what its tap saw.
        if !host.contains(&own) && !own.is_unspecified() {
            return;
        }
        let (time, error) = at(time);
        if self.statements.len() >= WAITING_MAX || !self.rate.allows(time) {
            self.lost = self.lost.saturating_add(1);
            return;
        }
        self.statements.push(Statement {
            time,
            error,
            tuple,
            act,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(nanos: i64) -> CaptureTime {
        CaptureTime::from_nanos(nanos)
    }

    fn span() -> Span {
        Span {
            from: at(10),
            told: at(10),
            oath: Oath::Everything,
            tap: TapPlace::Elsewhere,
        }
    }

    fn told(span: &mut Span, until: i64, lost: u64) -> Option<(i64, i64, u64)> {
        let watch = span.told_up_to(at(until), lost)?;
        Some((watch.from.nanos(), watch.until.nanos(), watch.lost))
    }

    #[test]
    fn a_span_grows_until_something_is_lost() {
        let mut span = span();
        assert_eq!(told(&mut span, 20, 0), Some((10, 20, 0)));
        assert_eq!(told(&mut span, 30, 0), Some((10, 30, 0)));
        assert_eq!(told(&mut span, 40, 2), Some((31, 40, 2)));
        assert_eq!(told(&mut span, 50, 0), Some((41, 50, 0)));
    }

    #[test]
    fn a_clock_set_back_begins_a_new_span() {
        let mut span = span();
        assert_eq!(told(&mut span, 10 * SECOND, 0), Some((10, 10 * SECOND, 0)));
        assert_eq!(told(&mut span, 5, 0), None);
        assert_eq!(told(&mut span, 9, 0), Some((6, 9, 0)));
    }

    fn heard(rate: u32) -> Heard {
        Heard {
            statements: Vec::new(),
            lost: 0,
            rate: Rate {
                a_second: rate,
                second: 0,
                left: 0,
            },
        }
    }

    fn hear(heard: &mut Heard, src: &str, stamp: &str) {
        let line = format!(
            "x-1 [0] .. {stamp}: tcp_send_reset: skbaddr=01 skaddr=00 src={src}:9 dest=192.0.2.9:4 reason=NO_SOCKET"
        );
        let host = ["192.0.2.1".parse().unwrap()];
        heard.line(&line, &host, |trace| (at(trace), 0));
    }

    #[test]
    fn only_the_hosts_own_resets_are_kept() {
        let mut heard = heard(10);
        hear(&mut heard, "192.0.2.1", "1.0");
        hear(&mut heard, "192.0.2.2", "1.0");
        assert_eq!((heard.statements.len(), heard.lost), (1, 0));
    }

    #[test]
    fn what_is_above_the_rate_is_lost_and_counted() {
        let mut heard = heard(2);
        for stamp in ["1.0", "1.1", "1.2", "2.0"] {
            hear(&mut heard, "192.0.2.1", stamp);
        }
        heard.line("CPU:0 [LOST 5 EVENTS]", &[], |trace| (at(trace), 0));
        assert_eq!((heard.statements.len(), heard.lost), (3, 6));
    }
}
