//! Why a RST was sent, as a kernel, MPTCP or a diagnostic payload puts it: one vocabulary.
//!
//! What a kernel says of its own RST through its tracepoint is testimony. What a RST itself carries is a claim:
//! whoever forges the RST can forge it too.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A reason for a RST.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ResetReason {
    /// Linux, enum `sk_rst_reason` (include/net/rstreason.h).
    Kernel(KernelReason),
    /// MPTCP, option `MP_TCPRST`.
    Mptcp(MptcpReason),
    /// The RST diagnostic payload.
    Diagnostic(DiagnosticReason),
}

/// What Linux calls the reasons of its socket layer; those of MPTCP are [`MptcpReason`]s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum KernelReason {
    NotSpecified,
    NoSocket,
    InvalidAckSequence,
    Paws,
    TooOldAck,
    AckUnsentData,
    Flags,
    OldAck,
    AbortOnData,
    TimeWaitSocket,
    InvalidSyn,
    AbortOnClose,
    AbortOnLinger,
    AbortOnMemory,
    State,
    KeepaliveTimeout,
    DisconnectWithData,
    Error,
    /// A word that is younger than this program.
    Unlisted,
}

/// Every kernel reason by its word in the trace.
const WORDS: [(&str, KernelReason); 19] = [
    ("NOT_SPECIFIED", KernelReason::NotSpecified),
    ("NO_SOCKET", KernelReason::NoSocket),
    ("TCP_INVALID_ACK_SEQUENCE", KernelReason::InvalidAckSequence),
    ("TCP_RFC7323_PAWS", KernelReason::Paws),
    ("TCP_TOO_OLD_ACK", KernelReason::TooOldAck),
    ("TCP_ACK_UNSENT_DATA", KernelReason::AckUnsentData),
    ("TCP_FLAGS", KernelReason::Flags),
    ("TCP_OLD_ACK", KernelReason::OldAck),
    ("TCP_ABORT_ON_DATA", KernelReason::AbortOnData),
    ("TCP_TIMEWAIT_SOCKET", KernelReason::TimeWaitSocket),
    ("INVALID_SYN", KernelReason::InvalidSyn),
    ("TCP_ABORT_ON_CLOSE", KernelReason::AbortOnClose),
    ("TCP_ABORT_ON_LINGER", KernelReason::AbortOnLinger),
    ("TCP_ABORT_ON_MEMORY", KernelReason::AbortOnMemory),
    ("TCP_STATE", KernelReason::State),
    ("TCP_KEEPALIVE_TIMEOUT", KernelReason::KeepaliveTimeout),
    ("TCP_DISCONNECT_WITH_DATA", KernelReason::DisconnectWithData),
    ("ERROR", KernelReason::Error),
    ("UNLISTED", KernelReason::Unlisted),
];

/// MPTCP's words in the trace, in the order of the option's codes (RFC 8684, 3.6).
const MPTCP_WORDS: [&str; 7] = [
    "MPTCP_RST_EUNSPEC",
    "MPTCP_RST_EMPTCP",
    "MPTCP_RST_ERESOURCE",
    "MPTCP_RST_EPROHIBIT",
    "MPTCP_RST_EWQ2BIG",
    "MPTCP_RST_EBADPERF",
    "MPTCP_RST_EMIDDLEBOX",
];

/// A reason of the option `MP_TCPRST` (RFC 8684, 3.6: option kind 30, subtype 8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MptcpReason {
    pub code: u8,
    /// The sender expects that the subflow may work again later.
    pub transient: bool,
}

/// The reason of a RST diagnostic payload (draft-ietf-tcpm-rst-diagnostic-payload): eight octets, of which the
/// first two are [`DIAGNOSTIC_MAGIC`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DiagnosticReason {
    /// 1 to 65535.
    pub code: u16,
    /// Private enterprise number whose registry the code is from; 0: IANA's "TCP Failure Causes".
    pub enterprise: u32,
}

/// How a RST diagnostic payload begins.
pub const DIAGNOSTIC_MAGIC: u16 = 0x33aa;

const MPTCP_KIND: u64 = 1;
const DIAGNOSTIC_KIND: u64 = 2;

impl ResetReason {
    /// The reason that a word of the trace stands for; an unknown one is [`KernelReason::Unlisted`].
    pub fn from_word(word: &str) -> Self {
        if let Some(code) = MPTCP_WORDS.iter().position(|known| *known == word) {
            return Self::Mptcp(MptcpReason {
                code: code as u8,
                transient: false,
            });
        }
        let known = WORDS.iter().find(|(known, _)| *known == word);
        Self::Kernel(known.map_or(KernelReason::Unlisted, |(_, reason)| *reason))
    }

    /// The trace's word for a reason that a kernel told.
    pub fn word(self) -> Option<&'static str> {
        match self {
            Self::Kernel(reason) => WORDS
                .iter()
                .find(|(_, known)| *known == reason)
                .map(|(word, _)| *word),
            Self::Mptcp(reason) => MPTCP_WORDS.get(usize::from(reason.code)).copied(),
            Self::Diagnostic(_) => None,
        }
    }

    /// The payload of a RST, as far as it was captured, if it is a diagnostic one.
    pub fn from_payload(captured: &[u8], len: usize) -> Option<Self> {
        let octets: &[u8; 8] = captured.first_chunk().filter(|_| len == 8)?;
        let magic = u16::from_be_bytes([octets[0], octets[1]]);
        let code = u16::from_be_bytes([octets[2], octets[3]]);
        (magic == DIAGNOSTIC_MAGIC && code != 0).then(|| {
            Self::Diagnostic(DiagnosticReason {
                code,
                enterprise: u32::from_be_bytes([octets[4], octets[5], octets[6], octets[7]]),
            })
        })
    }

    /// A TCP option, kind and length included, if it is `MP_TCPRST`.
    pub fn from_option(option: &[u8]) -> Option<Self> {
        let [30, 4, first, code] = option else {
            return None;
        };
        (first >> 4 == 8).then_some(Self::Mptcp(MptcpReason {
            code: *code,
            transient: first & 1 != 0,
        }))
    }

    /// A number for a reason that a RST can carry, never 0; `None` for a kernel's.
    pub fn number(self) -> Option<u64> {
        match self {
            Self::Kernel(_) => None,
            Self::Mptcp(reason) => {
                Some(MPTCP_KIND << 48 | u64::from(reason.transient) << 8 | u64::from(reason.code))
            }
            Self::Diagnostic(reason) => Some(
                DIAGNOSTIC_KIND << 48 | u64::from(reason.code) << 32 | u64::from(reason.enterprise),
            ),
        }
    }

    /// The reason of a [`ResetReason::number`].
    pub fn from_number(number: u64) -> Option<Self> {
        let reason = match number >> 48 {
            MPTCP_KIND => Self::Mptcp(MptcpReason {
                code: number as u8,
                transient: number & 0x100 != 0,
            }),
            DIAGNOSTIC_KIND => Self::Diagnostic(DiagnosticReason {
                code: (number >> 32) as u16,
                enterprise: number as u32,
            }),
            _ => return None,
        };
        (reason.number() == Some(number)).then_some(reason)
    }
}

/// In words, as the object of "because of" or after a colon.
impl fmt::Display for ResetReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kernel(_) => f.write_str(self.word().unwrap_or("UNLISTED")),
            Self::Mptcp(reason) => {
                write!(f, "MPTCP reason {}", reason.code)?;
                f.write_str(mptcp(reason.code))?;
                f.write_str(if reason.transient { ", transient" } else { "" })
            }
            Self::Diagnostic(reason) if reason.enterprise == 0 => {
                write!(
                    f,
                    "diagnostic code {}{}",
                    reason.code,
                    diagnostic(reason.code)
                )
            }
            Self::Diagnostic(reason) => write!(
                f,
                "diagnostic code {} of enterprise {}",
                reason.code, reason.enterprise
            ),
        }
    }
}

/// RFC 8684, 3.6.
const fn mptcp(code: u8) -> &'static str {
    match code {
        0 => " (unspecified)",
        1 => " (MPTCP-specific error)",
        2 => " (lack of resources)",
        3 => " (administratively prohibited)",
        4 => " (too much outstanding data)",
        5 => " (unacceptable performance)",
        6 => " (middlebox interference)",
        _ => "",
    }
}

/// The draft's "TCP Failure Causes".
const fn diagnostic(code: u16) -> &'static str {
    match code {
        1 => " (illegal option length)",
        2 => " (desynchronized state)",
        3 => " (new data after CLOSE)",
        4 => " (ABORT)",
        5 => " (unexpected ACK in a non-synchronized state)",
        6 => " (unexpected SYN in the window)",
        7 => " (unexpected security compartment)",
        8 => " (malformed message)",
        9 => " (not authorized)",
        10 => " (resource exceeded)",
        11 => " (network failure)",
        12 => " (reset received from the peer)",
        13 => " (destination unreachable)",
        14 => " (connection timeout)",
        15 => " (too much outstanding data)",
        16 => " (unacceptable performance)",
        17 => " (middlebox interference)",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_of_the_trace_comes_back() {
        for word in WORDS.iter().map(|(word, _)| *word).chain(MPTCP_WORDS) {
            assert_eq!(ResetReason::from_word(word).word(), Some(word));
        }
        let young = ResetReason::from_word("TCP_TOMORROW");
        assert_eq!(young, ResetReason::Kernel(KernelReason::Unlisted));
    }

    #[test]
    fn the_drafts_example_of_a_vendors_reason_reads() {
        let payload = [0x33, 0xaa, 0x04, 0xd2, 0, 0, 0x7e, 0xd9];
        let reason = ResetReason::from_payload(&payload, 8).unwrap();
        assert_eq!(
            reason.to_string(),
            "diagnostic code 1234 of enterprise 32473"
        );
        assert_eq!(
            ResetReason::from_payload(&payload, 9),
            None,
            "the length is 8"
        );
        assert_eq!(ResetReason::from_payload(&payload[..7], 8), None, "cut");
        let reserved = [0x33, 0xaa, 0, 0, 0, 0, 0, 0];
        assert_eq!(ResetReason::from_payload(&reserved, 8), None);
    }

    #[test]
    fn the_option_mp_tcprst_reads_and_other_mptcp_options_do_not() {
        let reason = ResetReason::from_option(&[30, 4, 0x81, 6]).unwrap();
        assert_eq!(
            reason.to_string(),
            "MPTCP reason 6 (middlebox interference), transient"
        );
        assert_eq!(ResetReason::from_option(&[30, 4, 0x01, 6]), None);
        assert_eq!(ResetReason::from_option(&[30, 3, 0x81]), None);
    }

    #[test]
    fn numbers_come_back_and_nonsense_is_no_reason() {
        let reasons = [
            ResetReason::from_option(&[30, 4, 0x81, 255]),
            ResetReason::from_payload(&[0x33, 0xaa, 255, 255, 255, 255, 255, 255], 8),
        ];
        for reason in reasons.into_iter().flatten() {
            let number = reason.number().unwrap();
            assert_eq!(ResetReason::from_number(number), Some(reason));
        }
        for number in [0, 7, 1 << 48 | 1 << 20, 3 << 48, u64::MAX] {
            assert_eq!(ResetReason::from_number(number), None);
        }
    }
}
