//! Answers that came faster than the sender can give them.

use super::Look;
use crate::case::Case;
use crate::digest::TcpFlags;
use crate::judge::wording::{duration, quoted};
use crate::scene::{Scene, Seen};
use crate::time::MILLISECOND;

/// A RST+ACK that acknowledges a segment before its receiver can have had it.
const TOO_FAST: f64 = 3.5;
/// So many answers tell the shortest time, or one of the handshake, which no stack delays as it does ACKs.
const ENOUGH: usize = 8;
/// An answer is sought among so many segments after what it answers.
const ANSWER_AMONG: usize = 256;

/// A RST+ACK acknowledges a segment that passed here just before, in less than half of the shortest
/// time that its receiver ever took to answer.
pub(super) fn too_fast(scene: &Scene<'_>, case: &Case<'_>) -> Look {
    let vantage = case.views[case.first].vantage;
    let reset = case.first_seen();
    let acked = reset.digest.acked()?;
    let life: Vec<&Seen<'_>> = scene.life(vantage, case.life).collect();
    let asks = |seen: &&&Seen<'_>| seen.sender != case.sender && seen.digest.seq_len() > 0;
    let provoking = life
        .iter()
        .filter(asks)
        .find(|segment| segment.digest.seq_end() == acked)?;
    let answer = reset.at - provoking.at;
    let fastest = fastest(&life, case)?;
    (answer >= 0 && fastest > MILLISECOND && answer < fastest / 2).then(|| {
        (
            TOO_FAST,
            format!(
                "the RST acknowledges a segment only {} after it passed {}; the {} never answered in less than {}",
                duration(answer),
                quoted(scene, vantage),
                case.sender.as_str(),
                duration(fastest)
            ),
        )
    })
}

/// The shortest time in which the claimed sender answered, where enough answers tell it.
fn fastest(life: &[&Seen<'_>], case: &Case<'_>) -> Option<i64> {
    let mut prompt = false;
    let mut times = Vec::new();
    for (place, asked) in life.iter().enumerate() {
        if asked.sender == case.sender || asked.digest.seq_len() == 0 {
            continue;
        }
        if let Some(time) = first_answer(&life[place..], asked) {
            prompt |= asked.digest.flags.has(TcpFlags::SYN);
            times.push(time);
        }
    }
    let told = prompt || times.len() >= ENOUGH;
    times.into_iter().min().filter(|_| told)
}

fn first_answer(life: &[&Seen<'_>], asked: &Seen<'_>) -> Option<i64> {
    life.iter()
        .take(ANSWER_AMONG)
        .filter(|answer| answer.sender != asked.sender && !answer.digest.is_rst())
        .find(|answer| {
            answer
                .digest
                .acked()
                .is_some_and(|ack| !ack.before(asked.digest.seq_end()))
        })
        .map(|answer| answer.at - asked.at)
}
