//! How long it takes from a reset on the wire to its verdict.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use parallax_core::report::{Origin, Side};

use crate::enclosure::SCRATCH;
use crate::injector::Injector;
use crate::lab::{Family, Lab, Wire};
use crate::programs::Programs;
use crate::scenario::Stage;
use crate::service::Service;
use crate::traffic::{Connection, listen, pause};

const PORT: u16 = 7900;
/// Time between two questions to the collector, which is the resolution of the result.
const STEP: Duration = Duration::from_millis(1);
const PATIENCE: Duration = Duration::from_secs(10);

/// Injects `count` resets, one after another, and prints how long each verdict took.
pub fn run(count: usize) -> Result<()> {
    let folder = Path::new(SCRATCH).join("latency");
    std::fs::create_dir_all(&folder).context("making a folder")?;
    let lab = Lab::raise().context("raising the lab")?;
    let service = Service::start(lab.site(), Programs::beside_this_one()?, &folder)?;
    let stage = Stage {
        lab: &lab,
        family: Family::V4,
        port: PORT,
    };
    let mut latencies = Vec::with_capacity(count);
    let listener = listen(&stage)?;
    for _ in 0..count {
        let mut injector = Injector::on(&lab, Wire::Middle)?;
        let mut connection = Connection::open_at(&stage, &listener)?;
        connection.say(Side::Client, b"hello")?;
        pause(20);
        let forged = injector.conversation(PORT)?.forge(Side::Server);
        latencies.push(time_to_verdict(&service, &mut injector, &forged)?);
        connection.hush();
    }
    service.stop()?;
    latencies.sort_unstable();
    println!(
        "reset on the wire to right verdict over HTTP: median {:.1} ms, p99 {:.1} ms, worst {:.1} \
         ms of {count}",
        milliseconds(quantile(&latencies, 0.5)),
        milliseconds(quantile(&latencies, 0.99)),
        milliseconds(quantile(&latencies, 1.0)),
    );
    Ok(())
}

/// Sends a reset towards the client and asks until its verdict is there and right.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn time_to_verdict(
    service: &Service,
    injector: &mut Injector,
    forged: &crate::segment::Segment,
) -> Result<Duration> {
    let client = forged.tcp.destination_port;
    let start = Instant::now();
    injector.send(Side::Client, forged)?;
    service.ask_until(client, STEP, |document| {
        let judged = document.resets.iter().any(|reset| {
            reset.seq == forged.tcp.sequence_number
                && reset.dport == client
                && reset.origin == Origin::Middlebox
        });
        ensure!(start.elapsed() < PATIENCE, "no verdict within {PATIENCE:?}");
        Ok(judged)
    })?;
    Ok(start.elapsed())
}

fn quantile(sorted: &[Duration], part: f64) -> Duration {
    let last = sorted.len().saturating_sub(1);
    let index = (last as f64 * part).round() as usize;
    sorted.get(index).copied().unwrap_or_default()
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_taken_from_what_was_measured() {
        let sorted: Vec<Duration> = (1..=101).map(Duration::from_millis).collect();
        assert_eq!(quantile(&sorted, 0.5), Duration::from_millis(51));
        assert_eq!(quantile(&sorted, 0.99), Duration::from_millis(100));
        assert_eq!(quantile(&sorted, 1.0), Duration::from_millis(101));
        assert_eq!(quantile(&[], 0.5), Duration::ZERO);
    }
}
