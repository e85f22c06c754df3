//! `parallax top` on a pseudo-terminal.

use std::os::unix::process::ExitStatusExt as _;

use anyhow::{Result, ensure};
use nix::sys::signal::Signal;
use parallax_tests::analysis::Order;
use parallax_tests::replay::Collector;
use parallax_tests::screen::OnTerminal;

use crate::Stage;

/// Leaves the alternate screen (xterm's control sequences).
const LEAVE: &str = "\u{1b}[?1049l";
/// Foreground colours 0 to 7, as the screen's library writes them.
const COLOUR: &str = "\u{1b}[38;5;";

/// Drawn, driven by keys, resized, without its collector for a while, and ended by a key and by a signal.
pub fn live_screen(stage: &mut Stage) -> Result<()> {
    let mut top = OnTerminal::start(&stage.cli(&["top"]), (120, 40))?;
    top.wait(&["Places", "firewall_reject_content", "this reset", "fw-out"])?;
    ensure!(top.written().contains(COLOUR), "no colours");
    ensure!(!top.is_as_a_shell_wants_it()?, "keys are not taken at once");
    top.press("\r")?;
    top.wait(&["Evidence", "Confidence"])?;
    top.press("q?")?;
    top.wait(&["this help"])?;
    top.press("q\t\t\t\r")?;
    top.wait(&["only ", "esc lists all"])?;
    top.press("\u{1b}")?;
    top.wait(&["? help"])?;
    top.resize((60, 16))?;
    top.wait(&["Resets Ladder Places Causes Vantages"])?;
    top.resize((120, 40))?;
    top.wait(&["this reset"])?;
    without_collector(stage, &mut top)?;
    top.press("q")?;
    ensure!(top.end()?.success(), "q is no failure");
    restored(&top)?;
    ended_by_a_signal(stage)
}

fn without_collector(stage: &mut Stage, top: &mut OnTerminal) -> Result<()> {
    let fresh = Collector::start(&stage.programs, Order::Told)?;
    let there = std::mem::replace(&mut stage.collector, fresh).stop()?;
    top.wait(&["collector away", "connection refused", "this reset"])?;
    stage.collector = Collector::start_at(&stage.programs, Order::Told, there)?;
    top.wait(&[
        &format!("parallax top  {}", stage.collector.url),
        "this reset",
    ])?;
    Ok(())
}

fn ended_by_a_signal(stage: &Stage) -> Result<()> {
    let mut program = stage.cli(&["top"]);
    program.env("NO_COLOR", "1");
    let mut top = OnTerminal::start(&program, (120, 40))?;
    top.wait(&["this reset"])?;
    ensure!(!top.written().contains(COLOUR), "colours despite NO_COLOR");
    top.signal(Signal::SIGTERM)?;
    let status = top.end()?;
    ensure!(status.signal() == Some(Signal::SIGTERM as i32), "{status}");
    restored(&top)
}

fn restored(top: &OnTerminal) -> Result<()> {
    ensure!(top.written().contains(LEAVE), "still on the other screen");
    ensure!(top.is_as_a_shell_wants_it()?, "the terminal stayed raw");
    Ok(())
}
