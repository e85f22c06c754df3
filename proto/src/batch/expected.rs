//! What a segment's numbers and timestamps are most likely, by the segments of its flow before it in the batch.
//! Columns carry the difference, which mostly is small or nothing and so takes next to no room compressed.

use parallax_core::Digest;

/// What one direction of a flow said last in this batch.
#[derive(Debug, Clone, Copy, Default)]
struct Said {
    /// The sequence number after its last segment.
    next: Option<u32>,
    acked: Option<u32>,
    stamps: Option<(u32, u32)>,
}

/// The values that a segment is expected to have; zero where nothing tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Values {
    pub seq: u32,
    pub ack: u32,
    pub stamp: u32,
    pub echo: u32,
}

/// What every flow of a batch said so far.
#[derive(Debug, Default)]
pub(super) struct Expected {
    by_flow: Vec<[Said; 2]>,
}

impl Expected {
    /// What the next segment is expected to have; `flow`: as in the column of that name.
    pub fn values(&self, flow: u32) -> Values {
        let both = self
            .by_flow
            .get(flow as usize / 2)
            .copied()
            .unwrap_or_default();
        let (own, other) = (both[flow as usize % 2], both[1 - flow as usize % 2]);
        Values {
            seq: own.next.or(other.acked).unwrap_or(0),
            ack: other.next.unwrap_or(0),
            stamp: own
                .stamps
                .map(|(value, _)| value)
                .or(other.stamps.map(|(_, echo)| echo))
                .unwrap_or(0),
            echo: other.stamps.map_or(0, |(value, _)| value),
        }
    }

    /// Notes the segment.
    pub fn note(&mut self, flow: u32, digest: &Digest) {
        let index = flow as usize / 2;
        if self.by_flow.len() <= index {
            self.by_flow.resize(index + 1, [Said::default(); 2]);
        }
        let stamps = digest.options.timestamps;
        self.by_flow[index][flow as usize % 2] = Said {
            next: Some(digest.seq_end().0),
            acked: digest.acked().map(|ack| ack.0),
            stamps: stamps.map(|stamps| (stamps.value, stamps.echo)),
        };
    }
}
