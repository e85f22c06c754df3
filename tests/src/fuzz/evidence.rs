//! Evidence from octets, however absurd; octets that are missing are zero.

use parallax_core::digest::{IpFields, LinkFields, TcpFlags, TcpOptions};
use parallax_core::{
    CaptureTime, Coverage, Digest, Endpoint, ExchangedClock, FlowEvidence, FourTuple, LossCause,
    LossOf, LossRecord, Nearby, Selection, Strength, TcpSeq, Testimony, Vantage, VantageEvidence,
    VantageKind,
};

/// Vantages and segments at each, at most.
const VANTAGES: u8 = 5;
const SEGMENTS: u8 = 24;

pub struct Reader<'a> {
    left: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(octets: &'a [u8]) -> Self {
        Self { left: octets }
    }

    fn octet(&mut self) -> u8 {
        let Some((first, left)) = self.left.split_first() else {
            return 0;
        };
        self.left = left;
        *first
    }

    fn below(&mut self, end: u8) -> u8 {
        self.octet() % end
    }

    fn number(&mut self) -> u64 {
        u64::from_be_bytes(std::array::from_fn(|_| self.octet()))
    }

    /// Mostly near to each other, now and then anywhere.
    fn time(&mut self) -> CaptureTime {
        CaptureTime::from_nanos(match self.octet() {
            0 => self.number().cast_signed(),
            1 => i64::MAX,
            2 => i64::MIN,
            near => i64::from(near) * 1_000_000 + i64::from(self.octet()) * 1000,
        })
    }

    fn seq(&mut self) -> TcpSeq {
        TcpSeq(match self.octet() {
            0 => self.number() as u32,
            near => u32::from(near) * 100,
        })
    }

    fn tuple(&mut self) -> FourTuple {
        let port = 40_000 + u16::from(self.below(3));
        let tuple = FourTuple::new(
            Endpoint::new([192, 0, 2, 1 + self.below(2)].into(), port),
            Endpoint::new([198, 51, 100, 1].into(), 443),
        );
        if self.octet().is_multiple_of(2) {
            tuple
        } else {
            tuple.reversed()
        }
    }

    fn digest(&mut self) -> Digest {
        Digest {
            tuple: self.tuple(),
            time: self.time(),
            seq: self.seq(),
            ack: self.seq(),
            flags: TcpFlags(u16::from(self.octet())),
            window: self.octet().into(),
            payload_len: match self.octet() {
                0 => self.number() as u32,
                length => u32::from(length % 64),
            },
            payload_hash: (self.octet().is_multiple_of(2)).then(|| self.octet().into()),
            options: TcpOptions {
                window_scale: (self.octet().is_multiple_of(2)).then(|| self.octet()),
                ..TcpOptions::default()
            },
            rst_reason: None,
            ip: IpFields {
                ttl: self.octet(),
                id: (self.octet().is_multiple_of(2)).then(|| self.octet().into()),
                ..IpFields::default()
            },
            link: LinkFields::default(),
        }
    }

    fn digests(&mut self, most: u8) -> Vec<Digest> {
        (0..self.below(most)).map(|_| self.digest()).collect()
    }

    fn span(&mut self) -> (CaptureTime, CaptureTime) {
        (self.time(), self.time())
    }

    fn loss(&mut self) -> LossRecord {
        let (from, until) = self.span();
        LossRecord {
            strength: if self.octet().is_multiple_of(2) {
                Strength::Certain
            } else {
                Strength::Possible
            },
            cause: LossCause::Ring,
            of: LossOf::Packets,
            from,
            until: (self.octet().is_multiple_of(2)).then_some(until),
            count: (self.octet().is_multiple_of(2)).then(|| self.number()),
            detail: None,
        }
    }

    fn vantage(&mut self, index: u8) -> VantageEvidence {
        let is_host = self.octet().is_multiple_of(3);
        let address = [192, 0, 2, 1 + self.below(2)].into();
        VantageEvidence {
            vantage: Vantage {
                name: format!("v{index}"),
                kind: if is_host {
                    VantageKind::Host {
                        addresses: vec![address],
                    }
                } else {
                    VantageKind::Hop
                },
            },
            selection: if self.octet().is_multiple_of(2) {
                Selection::All
            } else {
                Selection::Context
            },
            complete: (0..self.below(3)).map(|_| self.span()).collect(),
            clock: (self.octet().is_multiple_of(2)).then(|| ExchangedClock {
                at: self.time(),
                offset: self.number().cast_signed(),
                error: self.number().cast_signed(),
            }),
            coverage: (0..self.below(4))
                .map(|_| {
                    let (from, until) = self.span();
                    Coverage {
                        from,
                        until,
                        received: self.number(),
                        dropped: if self.octet().is_multiple_of(2) {
                            0
                        } else {
                            self.number()
                        },
                    }
                })
                .collect(),
            losses: (0..self.below(3)).map(|_| self.loss()).collect(),
            segments: self.digests(SEGMENTS),
            nearby: {
                let moment = self.time();
                let (one, two, three) = (self.digests(4), self.digests(4), self.digests(4));
                Nearby::new(moment, &one, &two, &three)
            },
            testimony: Testimony::default(),
        }
    }

    pub fn evidence(mut self) -> FlowEvidence {
        let count = 1 + self.below(VANTAGES);
        let flow = self.tuple().flow();
        FlowEvidence {
            flow,
            configured_path: (self.octet().is_multiple_of(4))
                .then(|| (0..count).map(usize::from).rev().collect()),
            vantages: (0..count).map(|index| self.vantage(index)).collect(),
            known_ids: Vec::new(),
        }
    }
}
