//! What the collector says.

use std::time::Duration;

use parallax_proto::v1::{CollectorMessage, collector_message};
use tokio::time::{Instant, timeout_at};
use tonic::Streaming;
use tracing::debug;

use super::aside::{self, Order, Probe};
use super::{CLOSED, Courier, Parted, StreamError};
use crate::clock;

/// How long a collector may take to close the stream after everything is committed.
const CLOSING: Duration = Duration::from_secs(5);

/// How long a collector is listened to that takes nothing any more.
const HEARING_OUT: Duration = Duration::from_secs(1);

impl Courier {
    /// Nothing more can be sent: takes in what the collector still says, its refusal above all.
    pub(super) async fn hear_out(
        &mut self,
        mut incoming: Streaming<CollectorMessage>,
    ) -> Result<Parted, StreamError> {
        let end = Instant::now() + HEARING_OUT;
        loop {
            match timeout_at(end, incoming.message()).await {
                Ok(Ok(Some(message))) => self.hear(message, false)?,
                Ok(Err(status)) => return self.parties.judge(&status).lost().map(Parted::Lost),
                Ok(Ok(None)) | Err(_) => return Ok(Parted::Lost(CLOSED.to_owned())),
            }
        }
    }

    fn probe(&mut self, probe_sent: i64) {
        // One at a time is enough: an older one has waited too long to tell anything.
        self.probes.clear();
        self.probes.push_back(Probe {
            probe_sent,
            received: clock::wall(),
        });
    }

    /// Takes an order. An agent that cannot keep up is asked again.
    fn order(&self, order: Order) {
        if let Some(orders) = &self.delivery.orders
            && self.left.is_empty()
            && orders.try_send(order).is_err()
        {
            debug!("an order of the collector was not taken: too many wait");
        }
    }

    pub(super) fn hear(
        &mut self,
        message: CollectorMessage,
        said_goodbye: bool,
    ) -> Result<(), StreamError> {
        let committed = match message.message {
            Some(collector_message::Message::Committed(message)) => message.committed,
            Some(collector_message::Message::Welcome(message)) => message.committed,
            Some(collector_message::Message::Recall(recall)) => {
                self.order(Order::Ask(aside::question(&recall)));
                return Ok(());
            }
            Some(collector_message::Message::Policy(policy)) => {
                self.order(Order::Select(aside::policy(policy)));
                return Ok(());
            }
            Some(collector_message::Message::ClockProbe(probe)) => {
                self.probe(probe.sent);
                return Ok(());
            }
            Some(collector_message::Message::TestimonyStored(message)) => {
                self.ledger.stored(message.number);
                return Ok(());
            }
            None => return Ok(()),
        };
        let stored = self.current().commit(committed);
        stored.map_err(|error| self.parties.contradiction(error))?;
        self.tell();
        let own = self.left.is_empty();
        if said_goodbye && own && self.outbox.is_all_committed() && self.deadline.is_none() {
            self.deadline = Some(Instant::now() + CLOSING);
        }
        Ok(())
    }
}
