//! Whether a tap shows both directions: connections that certainly have two and show one.

use parallax_core::digest::TcpFlags;
use parallax_core::time::SECOND;
use parallax_core::{CaptureTime, Digest, LossCause, LossOf, LossRecord, Strength, Way};

/// Flows share these places by hash; few enough do in one window.
const PLACES: usize = 4096;

/// How long connections are watched before anything is said.
const WINDOW: i64 = 10 * SECOND;

/// So many connections that show one direction, and none that shows two, are no chance.
const ENOUGH: usize = 16;

/// Either direction was seen.
const WAYS: u8 = 0b11;
/// An acknowledgement: its receiver sent something.
const ANSWERED: u8 = 0b100;

/// The connections of a window.
#[derive(Debug)]
pub(crate) struct Ways {
    places: Vec<u8>,
    since: Option<CaptureTime>,
}

impl Default for Ways {
    fn default() -> Self {
        Self {
            places: vec![0; PLACES],
            since: None,
        }
    }
}

impl Ways {
    pub fn note(&mut self, digest: &Digest) {
        // A RST may answer what is no connection.
        if digest.is_rst() {
            return;
        }
        let place = digest.tuple.flow().hash() as usize % PLACES;
        let way = match digest.tuple.way() {
            Way::LowToHigh => 0b01,
            Way::HighToLow => 0b10,
        };
        let answered = digest.flags.has(TcpFlags::ACK);
        self.places[place] |= way | if answered { ANSWERED } else { 0 };
    }

    /// Coverage has come to here: at a window's end, whether it showed one direction only.
    pub fn watched(&mut self, until: CaptureTime) -> Option<LossRecord> {
        let since = *self.since.get_or_insert(until);
        let elapsed = until.since(since);
        if (0..WINDOW).contains(&elapsed) {
            return None;
        }
        let answered = self.places.iter().filter(|place| **place & ANSWERED != 0);
        let (both, one): (Vec<u8>, Vec<u8>) = answered.partition(|place| **place & WAYS == WAYS);
        let loss = (elapsed > 0 && both.is_empty() && one.len() >= ENOUGH).then_some(LossRecord {
            strength: Strength::Possible,
            cause: LossCause::OneDirection,
            of: LossOf::Packets,
            from: since,
            until: Some(until),
            count: None,
            detail: None,
        });
        self.places.fill(0);
        self.since = Some(until);
        loss
    }
}

#[cfg(test)]
mod tests {
    use parallax_core::digest::{IpFields, LinkFields, TcpOptions};
    use parallax_core::{Endpoint, FourTuple, TcpSeq};

    use super::*;

    fn digest(port: u16, flags: TcpFlags) -> Digest {
        Digest {
            time: CaptureTime::default(),
            tuple: FourTuple::new(
                Endpoint::new("192.0.2.1".parse().unwrap(), port),
                Endpoint::new("198.51.100.1".parse().unwrap(), 443),
            ),
            seq: TcpSeq(0),
            ack: TcpSeq(0),
            flags,
            window: 0,
            payload_len: 0,
            payload_hash: None,
            rst_reason: None,
            options: TcpOptions::default(),
            ip: IpFields::default(),
            link: LinkFields::default(),
        }
    }

    fn told(fill: impl Fn(&mut Ways)) -> Option<LossCause> {
        let mut ways = Ways::default();
        assert_eq!(ways.watched(CaptureTime::from_nanos(0)), None);
        fill(&mut ways);
        assert_eq!(ways.watched(CaptureTime::from_nanos(WINDOW - 1)), None);
        let told = ways.watched(CaptureTime::from_nanos(WINDOW));
        assert_eq!(
            ways.watched(CaptureTime::from_nanos(2 * WINDOW)),
            None,
            "a new window"
        );
        told.map(|loss| loss.cause)
    }

    #[test]
    fn a_tap_with_answers_to_nothing_shows_one_direction() {
        let one_way = |ways: &mut Ways| {
            (0..40).for_each(|port| ways.note(&digest(port, TcpFlags::ACK)));
        };
        assert_eq!(told(one_way), Some(LossCause::OneDirection));
    }

    #[test]
    fn a_scan_that_nobody_answers_and_a_single_full_connection_are_no_such_thing() {
        let scan = |ways: &mut Ways| {
            (0..4000).for_each(|port| ways.note(&digest(port, TcpFlags::SYN)));
        };
        assert_eq!(told(scan), None);
        let both = |ways: &mut Ways| {
            (0..40).for_each(|port| ways.note(&digest(port, TcpFlags::ACK)));
            let mut back = digest(5, TcpFlags::ACK);
            back.tuple = back.tuple.reversed();
            ways.note(&back);
        };
        assert_eq!(told(both), None);
    }
}
