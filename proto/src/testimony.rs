//! Testimony as messages, and messages as testimony again.

use std::net::IpAddr;

use parallax_core::reason::ResetReason;
use parallax_core::testimony::{Act, Oath, Prompt, Statement, TapPlace, Watch};
use parallax_core::{CaptureTime, Endpoint, FourTuple};
use thiserror::Error;

use crate::v1;

/// The most statements of one message.
pub const STATEMENTS_MAX: usize = 4096;
/// The most spans of one message.
const SPANS_MAX: usize = 4096;
const WORD_MAX: usize = 64;
const KERNEL_MAX: usize = 128;

/// A message, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub number: u64,
    pub first_statement: u64,
    pub statements: Vec<Statement>,
    pub watches: Vec<Watch>,
    pub kernel: String,
}

/// Why a message is none.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TestimonyError {
    #[error("{found} {what}, more than {max}")]
    TooMany {
        what: &'static str,
        found: usize,
        max: usize,
    },
    #[error("number {0} is past the signed range")]
    Number(u64),
    #[error("statement {index}: {what}")]
    Statement { index: usize, what: &'static str },
    #[error("span {index}: {what}")]
    Span { index: usize, what: &'static str },
    #[error("the kernel's release is longer than 128 characters, or has control characters")]
    Kernel,
}

impl Told {
    /// The message for it.
    pub fn message(&self) -> v1::Testimony {
        v1::Testimony {
            number: self.number,
            first_statement: self.first_statement,
            statements: self.statements.iter().map(statement).collect(),
            spans: self.watches.iter().map(span).collect(),
            kernel: self.kernel.clone(),
        }
    }
}

impl TryFrom<v1::Testimony> for Told {
    type Error = TestimonyError;

    fn try_from(message: v1::Testimony) -> Result<Self, TestimonyError> {
        at_most("statements", message.statements.len(), STATEMENTS_MAX)?;
        at_most("spans", message.spans.len(), SPANS_MAX)?;
        let end = message
            .first_statement
            .saturating_add(message.statements.len() as u64);
        for number in [message.number, end] {
            i64::try_from(number).map_err(|_| TestimonyError::Number(number))?;
        }
        let odd = message.kernel.chars().any(char::is_control);
        if odd || message.kernel.chars().count() > KERNEL_MAX {
            return Err(TestimonyError::Kernel);
        }
        Ok(Self {
            number: message.number,
            first_statement: message.first_statement,
            statements: read_all(&message.statements, |index, one| {
                read_statement(one).map_err(|what| TestimonyError::Statement { index, what })
            })?,
            watches: read_all(&message.spans, |index, one| {
                read_span(one).map_err(|what| TestimonyError::Span { index, what })
            })?,
            kernel: message.kernel,
        })
    }
}

fn at_most(what: &'static str, found: usize, max: usize) -> Result<(), TestimonyError> {
    if found > max {
        return Err(TestimonyError::TooMany { what, found, max });
    }
    Ok(())
}

fn read_all<M, T>(
    messages: &[M],
    read: impl Fn(usize, &M) -> Result<T, TestimonyError>,
) -> Result<Vec<T>, TestimonyError> {
    let all = messages.iter().enumerate();
    all.map(|(index, message)| read(index, message)).collect()
}

fn statement(statement: &Statement) -> v1::Statement {
    let (act, reason) = match statement.act {
        Act::Sent { reason, prompt } => {
            let act = match prompt {
                Prompt::Segment => v1::StatementAct::SentInAnswer,
                Prompt::Itself => v1::StatementAct::SentUnasked,
            };
            (act, reason.and_then(ResetReason::word))
        }
        Act::Accepted => (v1::StatementAct::Accepted, None),
    };
    v1::Statement {
        time: statement.time.nanos(),
        time_error: statement.error.max(0).cast_unsigned(),
        src_addr: octets(statement.tuple.src.addr),
        src_port: u32::from(statement.tuple.src.port),
        dst_addr: octets(statement.tuple.dst.addr),
        dst_port: u32::from(statement.tuple.dst.port),
        act: act.into(),
        reason: reason.map(str::to_owned),
    }
}

fn read_statement(message: &v1::Statement) -> Result<Statement, &'static str> {
    let src = endpoint(&message.src_addr, message.src_port)?;
    let dst = endpoint(&message.dst_addr, message.dst_port)?;
    if src.addr.is_ipv4() != dst.addr.is_ipv4() {
        return Err("one address is IPv4, the other IPv6");
    }
    let reason = message.reason.as_deref().map(reason).transpose()?;
    let sent = |prompt| Act::Sent { reason, prompt };
    let act = match message.act() {
        v1::StatementAct::SentInAnswer => sent(Prompt::Segment),
        v1::StatementAct::SentUnasked => sent(Prompt::Itself),
        v1::StatementAct::Accepted if reason.is_some() => return Err("accepted with a reason"),
        v1::StatementAct::Accepted => Act::Accepted,
        v1::StatementAct::Unspecified => return Err("it does not say what was done"),
    };
    Ok(Statement {
        time: CaptureTime::from_nanos(message.time),
        error: i64::try_from(message.time_error).map_err(|_| "its time may be off by centuries")?,
        tuple: FourTuple::new(src, dst),
        act,
    })
}

fn reason(word: &str) -> Result<ResetReason, &'static str> {
    let plain = |octet: u8| octet.is_ascii_uppercase() || octet.is_ascii_digit() || octet == b'_';
    if word.is_empty() || word.len() > WORD_MAX || !word.bytes().all(plain) {
        return Err("its reason is no word");
    }
    Ok(ResetReason::from_word(word))
}

fn span(watch: &Watch) -> v1::WitnessSpan {
    let oath = match watch.oath {
        Oath::Nothing => v1::WitnessOath::Nothing,
        Oath::WithSocket => v1::WitnessOath::WithSocket,
        Oath::Everything => v1::WitnessOath::Everything,
    };
    v1::WitnessSpan {
        from: watch.from.nanos(),
        until: watch.until.nanos(),
        lost: watch.lost,
        oath: oath.into(),
        own_interface: watch.tap == TapPlace::OwnInterface,
    }
}

fn read_span(message: &v1::WitnessSpan) -> Result<Watch, &'static str> {
    if message.from > message.until {
        return Err("it ends before it begins");
    }
    let oath = match message.oath() {
        v1::WitnessOath::Nothing => Oath::Nothing,
        v1::WitnessOath::WithSocket => Oath::WithSocket,
        v1::WitnessOath::Everything => Oath::Everything,
        v1::WitnessOath::Unspecified => return Err("it does not say what the witness swears to"),
    };
    Ok(Watch {
        from: CaptureTime::from_nanos(message.from),
        until: CaptureTime::from_nanos(message.until),
        lost: message.lost,
        oath,
        tap: if message.own_interface {
            TapPlace::OwnInterface
        } else {
            TapPlace::Elsewhere
        },
    })
}

fn octets(addr: IpAddr) -> Vec<u8> {
    match addr {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

fn endpoint(octets: &[u8], port: u32) -> Result<Endpoint, &'static str> {
    let addr = <[u8; 4]>::try_from(octets)
        .map(IpAddr::from)
        .or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from))
        .map_err(|_| "an address is neither IPv4 (4 octets) nor IPv6 (16)")?;
    let port = u16::try_from(port).map_err(|_| "a port is more than 65535")?;
    Ok(Endpoint::new(addr, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told() -> Told {
        let end = |addr: &str, port| Endpoint::new(addr.parse().unwrap(), port);
        let statement = |act| Statement {
            time: CaptureTime::from_nanos(1_000),
            error: 5,
            tuple: FourTuple::new(end("192.0.2.1", 80), end("192.0.2.2", 4000)),
            act,
        };
        let sent = |word: Option<&str>, prompt| {
            statement(Act::Sent {
                reason: word.map(ResetReason::from_word),
                prompt,
            })
        };
        let watch = |oath, tap| Watch {
            from: CaptureTime::from_nanos(7),
            until: CaptureTime::from_nanos(9),
            lost: 3,
            oath,
            tap,
        };
        Told {
            number: 4,
            first_statement: 10,
            statements: vec![
                sent(Some("NO_SOCKET"), Prompt::Segment),
                sent(Some("MPTCP_RST_EWQ2BIG"), Prompt::Itself),
                sent(None, Prompt::Itself),
                statement(Act::Accepted),
            ],
            watches: vec![
                watch(Oath::Everything, TapPlace::OwnInterface),
                watch(Oath::WithSocket, TapPlace::Elsewhere),
                watch(Oath::Nothing, TapPlace::Elsewhere),
            ],
            kernel: "6.18.1".to_owned(),
        }
    }

    #[test]
    fn what_was_told_comes_back() {
        assert_eq!(Told::try_from(told().message()), Ok(told()));
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        type Spoil = fn(&mut v1::Testimony);
        let refused = |spoil: Spoil| {
            let mut message = told().message();
            spoil(&mut message);
            Told::try_from(message).unwrap_err().to_string()
        };
        let cases: [(Spoil, &str); 8] = [
            (|m| m.number = u64::MAX, "past the signed range"),
            (
                |m| m.statements[1].src_addr = vec![1],
                "statement 1: an address",
            ),
            (|m| m.statements[0].dst_port = 70_000, "statement 0: a port"),
            (
                |m| m.statements[0].act = 9,
                "statement 0: it does not say what",
            ),
            (
                |m| m.statements[0].reason = Some("x y".to_owned()),
                "no word",
            ),
            (
                |m| m.statements[3].reason = Some("ERROR".to_owned()),
                "accepted with",
            ),
            (|m| m.spans[2].until = 0, "span 2: it ends before"),
            (|m| m.kernel = "6\n".to_owned(), "release"),
        ];
        for (spoil, expected) in cases {
            let error = refused(spoil);
            assert!(error.contains(expected), "{error}");
        }
    }
}
