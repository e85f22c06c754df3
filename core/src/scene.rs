//! One flow with all its vantages on one clock, cut into lives.

use crate::digest::Digest;
use crate::evidence::FlowEvidence;
use crate::path::{self, Ends, Path};
use crate::report::Side;
use crate::seq::TcpSeq;

/// A segment at a vantage, on the corrected clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen<'a> {
    pub(crate) digest: &'a Digest,
    /// Nanoseconds since the epoch by the clock of the path's first vantage.
    pub(crate) at: i64,
    pub(crate) sender: Side,
    /// Which life of the 4-tuple it belongs to: 0 is what was there before the first SYN seen.
    pub(crate) life: usize,
}

/// One flow's evidence, ordered in space (path) and time (lives).
pub(crate) struct Scene<'a> {
    pub(crate) evidence: &'a FlowEvidence,
    pub(crate) ends: Ends,
    pub(crate) path: Path,
    /// The flow's segments at each vantage of the evidence, in order of time.
    pub(crate) seen: Vec<Vec<Seen<'a>>>,
    /// The number of the SYN that began each life but the first.
    initial: Vec<TcpSeq>,
}

impl<'a> Scene<'a> {
    pub(crate) fn new(evidence: &'a FlowEvidence) -> Self {
        let ends = Ends::of(evidence);
        let path = path::find(evidence, &ends);
        let lives = Lives::find(evidence, &ends, &path);
        let seen = evidence
            .vantages
            .iter()
            .enumerate()
            .map(|(index, at)| {
                let offset = path.offsets[index].unwrap_or(0);
                let mut seen: Vec<Seen<'_>> = at
                    .segments
                    .iter()
                    .map(|digest| {
                        let at = corrected(digest, offset);
                        let sender = ends.sender(digest);
                        let life = lives.of(digest, sender, at);
                        Seen {
                            digest,
                            at,
                            sender,
                            life,
                        }
                    })
                    .collect();
                seen.sort_by_key(|segment| segment.at);
                seen
            })
            .collect();
        Self {
            evidence,
            ends,
            path,
            seen,
            initial: lives.starts.iter().map(|start| start.isn).collect(),
        }
    }

    /// The number of the SYN that began a life, where it was seen.
    pub(crate) fn initial_number(&self, life: usize) -> Option<TcpSeq> {
        self.initial.get(life.checked_sub(1)?).copied()
    }

    pub(crate) fn name(&self, vantage: usize) -> &str {
        &self.evidence.vantages[vantage].vantage.name
    }

    /// The vantages in the order in which a packet from `sender` passes them.
    pub(crate) fn travel(&self, sender: Side) -> Vec<usize> {
        let mut order = self.path.order.clone();
        if sender == Side::Server {
            order.reverse();
        }
        order
    }

    pub(crate) fn host_side(&self, vantage: usize) -> Option<Side> {
        path::host_side(self.evidence, &self.ends, vantage)
    }

    /// The median TTL of a sender's packets at a vantage, RSTs left out.
    pub(crate) fn usual_ttl(&self, vantage: usize, life: usize, sender: Side) -> Option<u8> {
        let mut ttls: Vec<u8> = self
            .life(vantage, life)
            .filter(|seen| seen.sender == sender && !seen.digest.is_rst())
            .map(|seen| seen.digest.ip.ttl)
            .collect();
        ttls.sort_unstable();
        ttls.get(ttls.len() / 2).copied()
    }

    /// A vantage's segments of one life.
    pub(crate) fn life(
        &self,
        vantage: usize,
        life: usize,
    ) -> impl Iterator<Item = &Seen<'a>> + Clone {
        self.seen[vantage]
            .iter()
            .filter(move |segment| segment.life == life)
    }
}

/// A segment's time on the path's clock. What is absurdly far off is held at ±73 years from 1970, so
/// that differences never overflow, whatever an agent says.
pub(crate) fn corrected(digest: &Digest, offset: i64) -> i64 {
    const FAR: i64 = 1 << 61;
    digest.time.nanos().saturating_sub(offset).clamp(-FAR, FAR)
}

/// The SYNs that began new lives of the 4-tuple, in order of time.
struct Lives {
    starts: Vec<Start>,
}

struct Start {
    at: i64,
    opener: Side,
    isn: TcpSeq,
}

impl Lives {
    fn find(evidence: &FlowEvidence, ends: &Ends, path: &Path) -> Self {
        let mut starts: Vec<Start> = Vec::new();
        for (index, vantage) in evidence.vantages.iter().enumerate() {
            let offset = path.offsets[index].unwrap_or(0);
            for syn in vantage.segments.iter().filter(|digest| digest.is_syn()) {
                let (opener, isn) = (ends.sender(syn), syn.seq);
                let at = corrected(syn, offset);
                match starts
                    .iter_mut()
                    .find(|start| start.opener == opener && start.isn == isn)
                {
                    Some(known) => known.at = known.at.min(at),
                    None => starts.push(Start { at, opener, isn }),
                }
            }
        }
        starts.sort_by_key(|start| start.at);
        Self { starts }
    }

    /// A segment belongs to the SYN whose number it carries or acknowledges, else to the latest
    /// before it.
    fn of(&self, digest: &Digest, sender: Side, at: i64) -> usize {
        let opening = self.starts.iter().position(|start| {
            if start.opener == sender {
                digest.is_syn() && digest.seq == start.isn
            } else {
                let answers = digest.flags.has(crate::digest::TcpFlags::SYN) || digest.is_rst();
                answers && digest.acked() == Some(start.isn.plus(1))
            }
        });
        match opening {
            Some(index) => index + 1,
            None => self.starts.partition_point(|start| start.at <= at),
        }
    }
}
