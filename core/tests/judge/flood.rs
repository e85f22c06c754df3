//! Floods are judged in bounded time.

use std::time::Duration;

use parallax_core::report::{Cause, Side};

use crate::wire::{Wire, flags};

#[test]
fn a_thousand_guesses_in_a_long_connection_are_judged_in_seconds() {
    let (sender, judged) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut wire = Wire::new(&["hop-in", "hop-out"]);
        wire.handshake();
        for _ in 0..700 {
            wire.exchange();
        }
        let seq = wire.next(Side::Server);
        for guess in 1..1000 {
            wire.forge(
                Side::Server,
                flags("R").seq(seq + guess * 100_000),
                "hop-in",
            );
        }
        wire.exchange();
        let _ = sender.send(wire.judge());
    });
    let judged = judged
        .recv_timeout(Duration::from_mins(1))
        .expect("judged within a minute, unoptimised");
    assert_eq!(judged.len(), 999);
    let blind = judged
        .iter()
        .filter(|one| one.report.cause == Cause::BlindAttack);
    assert!(blind.count() > 900);
}
