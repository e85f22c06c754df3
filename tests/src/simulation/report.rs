//! What a schedule came to, in numbers, so that it can be seen that something happened.

use super::agent::Log;
use super::cable::Exchange;
use super::database::Tables;
use super::verdicts::Verdicts;

#[derive(Debug, Clone, Default)]
pub struct Report {
    pub runs: usize,
    pub digests: usize,
    pub recalled: usize,
    pub questions: usize,
    pub connections: u64,
    pub losses: usize,
    pub verdicts: Verdicts,
}

impl Report {
    pub fn of(tables: &Tables, logs: &[Vec<Log>], exchange: &Exchange, verdicts: Verdicts) -> Self {
        Self {
            runs: logs.iter().map(Vec::len).sum(),
            digests: tables.digests.len(),
            recalled: tables.recalled.len(),
            questions: tables.questions.len(),
            connections: exchange.connections(),
            losses: tables.losses.len(),
            verdicts,
        }
    }

    /// Adds another schedule's numbers.
    pub fn add(&mut self, other: &Self) {
        self.runs += other.runs;
        self.digests += other.digests;
        self.recalled += other.recalled;
        self.questions += other.questions;
        self.connections += other.connections;
        self.losses += other.losses;
    }
}
