//! tshark to fields for each capture, then a join in `SQLite`.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::answers::Answers;
use super::together;
use crate::measured::{Bounds, Cost, Run, median};
use crate::peers::installed;

const JOIN: &str = include_str!("by_hand.sql");

/// What the columns of the join's tables are, in their order.
const FIELDS: [&str; 11] = [
    "frame.time_epoch",
    "ip.src",
    "ip.dst",
    "ipv6.src",
    "ipv6.dst",
    "tcp.srcport",
    "tcp.dstport",
    "tcp.seq_raw",
    "tcp.ack_raw",
    "tcp.flags",
    "tcp.len",
];

/// The answers, and what they cost.
pub struct ByHand {
    /// Of the three readings together, round by round.
    pub tshark: Vec<Cost>,
    pub sqlite: Vec<Cost>,
    pub answers: Answers,
}

impl ByHand {
    /// All of it.
    pub fn whole(&self) -> Cost {
        together(&[median(&self.tshark), median(&self.sqlite)])
    }
}

/// Does it so many times; none if a program is missing, which is said.
pub fn measure(
    folder: &Path,
    captures: &[PathBuf; 3],
    rounds: usize,
    bounds: Bounds,
) -> Result<Option<ByHand>> {
    let (Some(tshark), Some(sqlite)) = (installed("tshark"), installed("sqlite3")) else {
        println!("tshark or sqlite3 is not installed: nothing is done by hand");
        return Ok(None);
    };
    if rounds == 0 {
        return Ok(None);
    }
    let script = folder.join("by_hand.sql");
    std::fs::write(&script, JOIN)?;
    let mut done = ByHand {
        tshark: Vec::new(),
        sqlite: Vec::new(),
        answers: Answers::default(),
    };
    for _ in 0..rounds {
        let mut costs = Vec::new();
        for capture in captures {
            costs.push(fields(&tshark, folder, capture).measure(bounds)?);
        }
        done.tshark.push(together(&costs));
        let database = folder.join("by_hand.db");
        let _absent_at_first = std::fs::remove_file(&database);
        let join = Run::new(&sqlite, folder)
            .arg("-bail")
            .arg(&database)
            .arg(format!(".cd {}", folder.display()))
            .arg(".read by_hand.sql");
        done.sqlite.push(join.measure(bounds)?);
        done.answers = Answers::of_lines(&join.printed())?;
    }
    Ok(Some(done))
}

/// All TCP segments of a capture as tab-separated values beside it.
fn fields(tshark: &Path, folder: &Path, capture: &Path) -> Run {
    let run = Run::new(tshark, folder)
        .output(&capture.with_extension("tsv"))
        .arg("-n")
        .args(&["-o", "tcp.relative_sequence_numbers:FALSE", "-r"])
        .arg(capture)
        .args(&["-Y", "tcp", "-T", "fields"]);
    FIELDS
        .iter()
        .fold(run, |run, field| run.args(&["-e", field]))
}
