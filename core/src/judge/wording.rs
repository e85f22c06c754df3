//! The words of verdicts.

use crate::case::Blindness;
use crate::digest::Digest;
use crate::scene::Scene;
use crate::time::{MILLISECOND, SECOND};

pub(crate) fn name(scene: &Scene<'_>, vantage: usize) -> String {
    scene.name(vantage).to_owned()
}

pub(crate) fn quoted(scene: &Scene<'_>, vantage: usize) -> String {
    format!("\"{}\"", scene.name(vantage))
}

/// Why a vantage's silence says nothing, as the end of a sentence.
pub(crate) fn blindness(why: Blindness) -> String {
    match why {
        Blindness::NoCoverage => "it has no coverage of that time".to_owned(),
        Blindness::StartedAfter => "it began to capture later".to_owned(),
        Blindness::EndedBefore(gap) => format!(
            "its coverage ends {} before; nothing shows that it was still capturing",
            duration(gap)
        ),
        Blindness::Gap => "it was not capturing at that moment".to_owned(),
        Blindness::Dropping(count) => {
            format!("it was losing packets ({count} dropped around then)")
        }
        Blindness::Lost(cause, count) => match count {
            Some(count) => format!("{} around then ({count} lost)", cause.words()),
            None => format!("{} around then", cause.words()),
        },
        Blindness::Lossy(passed) => format!(
            "it recorded only {} of {} packets that must have passed it",
            passed.recorded,
            passed.recorded + passed.missed
        ),
        Blindness::OneWay => "it shows only the other direction of this connection".to_owned(),
        Blindness::Missed => {
            "it was seen before and after it, so this vantage missed it".to_owned()
        }
        Blindness::Ambiguous => {
            "it recorded what may be this under another name, which nothing links for certain"
                .to_owned()
        }
        Blindness::NotOnPath => "nothing says that this connection passes it".to_owned(),
    }
}

/// A span of time in the unit that suits it.
pub(crate) fn duration(nanos: i64) -> String {
    let size = nanos.abs();
    if size >= 10 * SECOND {
        format!("{} s", nanos / SECOND)
    } else if size >= SECOND {
        format!("{:.1} s", nanos as f64 / SECOND as f64)
    } else if size >= MILLISECOND {
        format!("{:.1} ms", nanos as f64 / MILLISECOND as f64)
    } else {
        format!("{} µs", nanos / 1000)
    }
}

/// A segment in a few words: `PA seq 4104860586 ack 17 len 79`.
pub(crate) fn segment(digest: &Digest) -> String {
    let ack = digest
        .acked()
        .map_or_else(String::new, |ack| format!(" ack {ack}"));
    let len = match digest.payload_len {
        0 => String::new(),
        len => format!(" len {len}"),
    };
    format!("{} seq {}{ack}{len}", digest.flags, digest.seq)
}
