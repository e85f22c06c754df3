//! Recall: when a reset is sighted, every agent is asked what it remembers of the connection.
//!
//! The judge hands in what it [wants](Wanted) to know about each flow that it gathers evidence of. The
//! [`Inquirer`] asks what was not asked yet; questions are rows of Postgres, and collectors tell each other by
//! notification, so that agents of all collectors are asked. Each conversation has a [`Questions`] to draw
//! from; agents that connect while a question is open are asked too.

mod inquirer;
mod wanted;

pub use inquirer::{Board, Inquirer, Inquiries, Questions};
pub use wanted::Wanted;
