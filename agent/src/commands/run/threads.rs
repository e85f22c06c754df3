//! The capture threads of a run: one, or several that share the packets of each interface.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use anyhow::{Context as _, anyhow};
use parallax_core::{CaptureTime, Selection};
use tokio::sync::mpsc;

use super::watch::{self, Captured, Epochs, Orders};
use super::{CHUNKS, ORDERS};
use crate::capture::live::{LiveCapture, Stop};
use crate::handover::Handover;
use crate::stream::{Feed, Order};
use crate::witness::Witness;

/// Where each thread speaks into, and for several the channels to be [merged](crate::merge).
pub(super) fn feeds(
    count: usize,
    feed: &mpsc::Sender<Feed>,
) -> (Vec<mpsc::Sender<Feed>>, Vec<mpsc::Receiver<Feed>>) {
    if count == 1 {
        return (vec![feed.clone()], Vec::new());
    }
    (0..count).map(|_| mpsc::channel(CHUNKS)).unzip()
}

/// Where each thread takes orders from: every order goes to all of them, in one sequence.
pub(super) fn orders(count: usize, given: Receiver<Order>) -> anyhow::Result<Vec<Receiver<Order>>> {
    if count == 1 {
        return Ok(vec![given]);
    }
    let (givers, receivers): (Vec<SyncSender<Order>>, Vec<Receiver<Order>>) =
        (0..count).map(|_| sync_channel(ORDERS)).unzip();
    spawn("orders", move || {
        for order in given {
            // Waits where a thread is behind; one that has ended takes no more.
            for giver in &givers {
                let _ = giver.send(order.clone());
            }
        }
    })?;
    Ok(receivers)
}

/// The threads that capture.
pub(super) struct Threads(Vec<JoinHandle<Captured>>);

impl Threads {
    /// Starts one for each part of the packets; the first keeps the witness. When one ends all do.
    pub fn start(
        parts: Vec<(LiveCapture, Handover, Receiver<Order>)>,
        (since, own): (CaptureTime, Selection),
        stop: &Stop,
        witness: Option<Witness>,
    ) -> anyhow::Result<Self> {
        let shared = Arc::new(AtomicU32::new(0));
        let mut epochs = Epochs::Lead(Arc::clone(&shared));
        let mut witness = witness;
        let mut threads = Vec::with_capacity(parts.len());
        for (live, handover, given) in parts {
            let orders = Orders { given, own };
            let epochs = std::mem::replace(&mut epochs, Epochs::Follow(Arc::clone(&shared)));
            let (stop, witness) = (stop.clone(), witness.take());
            threads.push(spawn("capture", move || {
                let captured = watch::capture(live, since, handover, &orders, epochs);
                stop.stop();
                // The feed ends with the last that can speak into it.
                drop(witness);
                captured
            })?);
        }
        Ok(Self(threads))
    }

    /// What all of them captured, once they have ended.
    pub fn join(self) -> anyhow::Result<Captured> {
        let mut sum = Captured::default();
        for thread in self.0 {
            let captured = thread
                .join()
                .map_err(|_| anyhow!("a capture thread failed"))?;
            sum.tally.add(&captured.tally);
            sum.dropped += captured.dropped;
            sum.error = sum.error.or(captured.error);
        }
        Ok(sum)
    }
}

fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> anyhow::Result<JoinHandle<T>> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .with_context(|| format!("cannot start the {name} thread"))
}
