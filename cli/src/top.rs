//! `parallax top`: a live screen of places, causes, newest resets and vantages.
//!
//! [`app`] holds what is shown and what keys do, [`view`] draws it, [`feed`] asks the collector;
//! this file owns the terminal.

pub mod app;
mod feed;
mod styled;
pub mod view;

use std::io::{self, IsTerminal};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use nix::sys::signal::{SigSet, Signal, raise};
use ratatui::DefaultTerminal;
use ratatui::crossterm::event;

use crate::args::TopArgs;
use crate::failure::Failure;
use crate::output::{Color, Finding, Glyphs, Output};

use self::app::{App, Ask, Input};
use self::feed::Feed;
use self::view::View;

/// Draws until the user quits. A collector that cannot be reached at first is a failure; one that
/// goes away later is asked again and again.
pub fn run(args: &TopArgs, color: Color) -> Result<Finding, Failure> {
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        return Err(Failure::NoTerminal);
    }
    let coloured = Output::colours(color);
    // Blocked in every thread that follows: one of them waits for these.
    let signals = SigSet::from_iter(ENDS);
    signals.thread_block().map_err(io::Error::from)?;
    let (sender, inputs) = mpsc::channel();
    let feed = Feed::start(&args.collector, args.limit, &sender)?;
    thread::spawn({
        let sender = sender.clone();
        move || wait_for_signal(signals, &sender)
    });
    let view = View {
        coloured,
        glyphs: Glyphs::choose(args.ascii),
    };
    let app = App::new(args.collector.url.as_str(), args.limit as usize);
    // Restores the terminal when anything panics, too.
    let mut terminal = ratatui::try_init()?;
    thread::spawn(move || read_keys(&sender));
    let outcome = draw_until_end(&mut terminal, app, view, &inputs, &feed);
    ratatui::restore();
    if let Some(signal) = outcome? {
        end_by(signals, signal)?;
    }
    Ok(Finding::Quiet)
}

/// What ends the program from outside. Ctrl-C is a key while the screen is up, a signal only when another
/// sends it.
const ENDS: [Signal; 4] = [
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
];

fn wait_for_signal(signals: SigSet, sender: &Sender<Input>) {
    if let Ok(signal) = signals.wait() {
        // Nobody is left to tell when the screen is gone.
        let _gone = sender.send(Input::Signal(signal as i32));
    }
}

/// Ends as the signal would have ended the program, now that the terminal is as it was.
fn end_by(signals: SigSet, signal: i32) -> io::Result<()> {
    signals.thread_unblock()?;
    raise(Signal::try_from(signal)?)?;
    Ok(())
}

fn read_keys(sender: &Sender<Input>) {
    loop {
        let input = match event::read() {
            Ok(event) => Input::Terminal(event),
            Err(error) => Input::TerminalLost(error.to_string()),
        };
        let lost = matches!(input, Input::TerminalLost(_));
        if sender.send(input).is_err() || lost {
            return;
        }
    }
}

/// The signal that ended it, if one did.
fn draw_until_end(
    terminal: &mut DefaultTerminal,
    mut app: App,
    view: View,
    inputs: &Receiver<Input>,
    feed: &Feed,
) -> io::Result<Option<i32>> {
    loop {
        terminal.draw(|frame| view.draw(frame, &mut app))?;
        let Ok(first) = inputs.recv() else {
            return Ok(None);
        };
        // What came meanwhile is drawn at once with it.
        let inputs = std::iter::once(first).chain(inputs.try_iter().take(INPUTS_AT_ONCE));
        for input in inputs {
            match input {
                Input::Signal(signal) => return Ok(Some(signal)),
                Input::TerminalLost(reason) => return Err(io::Error::other(reason)),
                input => match app.take(input) {
                    Some(Ask::Quit) => return Ok(None),
                    Some(Ask::Explain(id)) => feed.explain(id),
                    None => {}
                },
            }
        }
    }
}

const INPUTS_AT_ONCE: usize = 1000;
