//! What Parallax knows about packets and resets, without clock, socket or database: the digest of
//! one TCP segment, flow and sequence arithmetic, the case of a reset, and the judge.
//!
//! The way of the data: bytes → [`decode`] → [`Digest`] → … → [`evidence`] → case → [`judge`]
//! → [`report`].

pub mod archive;
mod case;
mod clock;
pub mod coverage;
pub mod decode;
pub mod digest;
mod ends;
pub mod evidence;
pub mod flow;
mod join;
pub mod judge;
mod loss;
pub mod loss_record;
mod matching;
mod path;
pub mod plain;
pub mod reason;
pub mod report;
pub mod sampling;
mod scene;
pub mod seq;
pub mod testimony;
pub mod time;
pub mod tunnel;
pub mod vantage;

pub use coverage::Coverage;
pub use digest::Digest;
pub use evidence::{ExchangedClock, FlowEvidence, KnownId, Nearby, Selection, VantageEvidence};
pub use flow::{Endpoint, Flow, FourTuple, Way};
pub use loss_record::{LossCause, LossOf, LossRecord, Strength};
pub use reason::ResetReason;
pub use sampling::OneIn;
pub use seq::TcpSeq;
pub use testimony::Testimony;
pub use time::CaptureTime;
pub use vantage::{Vantage, VantageKind};
