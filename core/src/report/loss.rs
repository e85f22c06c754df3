//! Losses as documents show them.

use serde::{Deserialize, Serialize};

use crate::loss_record::{LossCause, LossOf, LossRecord, Strength};
use crate::time::CaptureTime;

/// Losses of one cause at a vantage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LossTotal {
    pub strength: Strength,
    pub cause: LossCause,
    pub of: LossOf,
    /// How often it was told.
    pub times: u64,
    /// How much was lost, as far as it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    pub first: CaptureTime,
    /// `None`: as long as the run lasts.
    pub last: Option<CaptureTime>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The same in words.
    pub text: String,
}

impl LossTotal {
    /// With its words.
    #[must_use]
    pub fn told(mut self) -> Self {
        let what = match self.of {
            LossOf::Packets => "packets",
            LossOf::Segments => "digests far from any RST",
            LossOf::Context => "digests around RSTs",
            LossOf::Resets => "RSTs",
        };
        let count = match (self.count, self.strength) {
            (Some(count), Strength::Certain) => format!(": {count} {what} lost"),
            (Some(count), Strength::Possible) => format!(": {count} {what} that may have mattered"),
            (None, _) => String::new(),
        };
        let detail = self
            .detail
            .as_ref()
            .map_or_else(String::new, |detail| format!(" ({detail})"));
        let times = match self.times {
            1 => String::new(),
            times => format!(", {times} times"),
        };
        self.text = format!("{}{detail}{count}{times}", self.cause.words());
        self
    }
}

impl From<LossRecord> for LossTotal {
    fn from(loss: LossRecord) -> Self {
        Self {
            strength: loss.strength,
            cause: loss.cause,
            of: loss.of,
            times: 1,
            count: loss.count,
            first: loss.from,
            last: loss.until,
            detail: loss.detail,
            text: String::new(),
        }
        .told()
    }
}

/// One loss of one vantage, as `GET /v1/losses` lists them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LossAt {
    pub vantage: String,
    #[serde(flatten)]
    pub loss: LossRecord,
}
