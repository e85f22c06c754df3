//! Programs that throw a live socket away.

use parallax_core::report::{Cause, Side};

use super::{causes, wire};
use crate::wire::{Wire, flags};

/// The client sends 40 KiB while the server acknowledges with the given windows.
fn upload(windows: [u16; 4]) -> Wire {
    let mut wire = wire();
    wire.handshake();
    for window in windows {
        wire.send(Side::Client, flags("PA").len(10_240));
        wire.wait(8);
        wire.send(Side::Server, flags("A").window(window));
    }
    wire.wait(20);
    wire.send(Side::Server, flags("RA").window(windows[3]));
    wire
}

#[test]
fn a_window_that_does_not_move_on_holds_unread_data() {
    let stalled = upload([400, 320, 240, 160]);
    assert_eq!(causes(&stalled), [Cause::AbortUnreadData]);
}

#[test]
fn a_window_that_moves_on_was_read() {
    let reading = upload([400, 400, 400, 400]);
    assert_eq!(causes(&reading), [Cause::AbortLinger]);
}

#[test]
fn an_abort_before_any_data_leaves_nothing_unread() {
    let mut wire = wire();
    wire.handshake();
    wire.wait(500);
    wire.send(Side::Server, flags("RA").window(501));
    assert_eq!(causes(&wire), [Cause::AbortLinger]);
}
