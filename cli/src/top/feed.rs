//! What the screen shows, asked from the collector by threads of their own.

use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use uuid::Uuid;

use super::app::Input;
use crate::args::Collector;
use crate::client::{Client, ClientError};
use crate::watch;

/// Between two questions about vantages.
const VANTAGES_EVERY: Duration = Duration::from_secs(2);
/// So many questions about vantages between two of all resets, for what the stream left out.
const RESETS_EVERY: u32 = 15;
/// Between two tries for the stream of verdicts.
const STREAM_AGAIN: Duration = Duration::from_secs(2);

/// After an answer: in a storm of resets the newest changes all the time, and each answer is a judge's work.
const EXPLAIN_PAUSE: Duration = Duration::from_millis(200);

/// Threads that feed the screen until it is gone.
pub struct Feed {
    wanted: Sender<Uuid>,
}

impl Feed {
    /// Asks once before any thread is started, so that a wrong address is a failure.
    pub fn start(
        collector: &Collector,
        limit: u32,
        inputs: &Sender<Input>,
    ) -> Result<Self, ClientError> {
        let client = || Client::new(collector);
        let first = client()?;
        let document = first.resets(&[("limit", limit.to_string())])?;
        // The receiver is the caller's: it is there.
        let _there = inputs.send(Input::Resets(Box::new(document)));
        let sender = inputs.clone();
        thread::spawn(move || poll(&first, limit, &sender));
        let (watching, sender) = (client()?, inputs.clone());
        thread::spawn(move || stream(&watching, &sender));
        let (wanted, asked) = mpsc::channel();
        let (explaining, sender) = (client()?, inputs.clone());
        thread::spawn(move || explain(&explaining, &asked, &sender));
        Ok(Self { wanted })
    }

    /// Asks for a reset's ladder; only the newest wish is answered.
    pub fn explain(&self, id: Uuid) {
        // The thread lives as long as the screen.
        let _there = self.wanted.send(id);
    }
}

/// Asks for vantages again and again; for all resets when the collector was away, and now and then.
fn poll(client: &Client, limit: u32, inputs: &Sender<Input>) {
    let mut until_resets = RESETS_EVERY;
    loop {
        let answer = client.vantages().and_then(|vantages| {
            let resets = match until_resets {
                0 => Some(client.resets(&[("limit", limit.to_string())])?),
                _ => None,
            };
            Ok((vantages, resets))
        });
        let sent = match answer {
            Ok((vantages, resets)) => {
                until_resets = until_resets.checked_sub(1).unwrap_or(RESETS_EVERY);
                let resets = resets.map(|resets| inputs.send(Input::Resets(Box::new(resets))));
                inputs
                    .send(Input::Vantages(Box::new(vantages)))
                    .and(resets.unwrap_or(Ok(())))
            }
            Err(error) => {
                until_resets = 0;
                inputs.send(Input::Away(error.to_string()))
            }
        };
        if sent.is_err() {
            return;
        }
        thread::sleep(VANTAGES_EVERY);
    }
}

fn stream(client: &Client, inputs: &Sender<Input>) {
    loop {
        // A stream that ends or cannot be had: `poll` says whether the collector is away.
        if let Ok(events) = client.watch() {
            let sent = watch::each(events, |verdict| {
                verdict.is_none_or(|reset| inputs.send(Input::Verdict(Box::new(reset))).is_ok())
            });
            if sent == watch::Ended::ByReader {
                return;
            }
        }
        thread::sleep(STREAM_AGAIN);
    }
}

fn explain(client: &Client, wanted: &Receiver<Uuid>, inputs: &Sender<Input>) {
    while let Ok(first) = wanted.recv() {
        let id = wanted.try_iter().last().unwrap_or(first);
        let told = client.explanation(id).map_err(|error| error.to_string());
        if inputs.send(Input::Told(id, Box::new(told))).is_err() {
            return;
        }
        thread::sleep(EXPLAIN_PAUSE);
    }
}
