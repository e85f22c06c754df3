//! A program on a terminal: a pseudo-terminal, and what stands on its screen.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::pty::{Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, ttyname};

use crate::programs::wait_for;

/// A program that has a terminal to itself; ended when dropped.
pub struct OnTerminal {
    child: Child,
    keyboard: File,
    written: Arc<Mutex<Vec<u8>>>,
    /// Kept open, so that its settings can be read when the program is gone.
    terminal: File,
    size: (u16, u16),
}

impl OnTerminal {
    /// Starts it on a terminal of so many columns and lines.
    pub fn start(program: &Command, size: (u16, u16)) -> Result<Self> {
        let window = Winsize {
            ws_col: size.0,
            ws_row: size.1,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let pair = openpty(&window, None).context("opening a pseudo-terminal")?;
        let terminal = File::from(pair.slave);
        // The terminal becomes its session's, so that a new size is signalled.
        let mut command = Command::new("setsid");
        command
            .arg("--ctty")
            .arg(program.get_program())
            .args(program.get_args())
            .env("TERM", "xterm-256color")
            .env("LANG", "C.UTF-8")
            .env_remove("LC_ALL")
            .env_remove("LC_CTYPE")
            .env_remove("NO_COLOR")
            .stdin(Stdio::from(terminal.try_clone()?))
            .stdout(Stdio::from(terminal.try_clone()?))
            .stderr(Stdio::from(terminal.try_clone()?));
        for (name, value) in program.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let child = command.spawn().context("starting a program with setsid")?;
        let keyboard = File::from(pair.master);
        let mut output = keyboard.try_clone()?;
        let written = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&written);
        std::thread::spawn(move || {
            let mut part = [0; 4096];
            while let Ok(length @ 1..) = output.read(&mut part) {
                let mut sink = sink.lock().unwrap_or_else(PoisonError::into_inner);
                sink.extend_from_slice(&part[..length]);
            }
        });
        Ok(Self {
            child,
            keyboard,
            written,
            terminal,
            size,
        })
    }

    /// All that it wrote so far.
    pub fn written(&self) -> String {
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&written).into_owned()
    }

    /// What stands on the screen, a line each.
    pub fn screen(&self) -> String {
        shown(&self.written(), self.size)
    }

    /// Waits until all these words stand on the screen.
    pub fn wait(&mut self, words: &[&str]) -> Result<String> {
        let found = wait_for(Duration::from_secs(20), || {
            if let Some(status) = self.child.try_wait()? {
                bail!("it ended ({status}): {}", self.written());
            }
            let screen = self.screen();
            Ok(words
                .iter()
                .all(|word| screen.contains(word))
                .then_some(screen))
        })?;
        found.with_context(|| format!("{words:?} never stood on the screen:\n{}", self.screen()))
    }

    pub fn press(&mut self, keys: &str) -> Result<()> {
        self.keyboard
            .write_all(keys.as_bytes())
            .context("typing on a pseudo-terminal")
    }

    /// Gives the terminal another size, which the program is told by SIGWINCH.
    pub fn resize(&mut self, (columns, lines): (u16, u16)) -> Result<()> {
        self.size = (columns, lines);
        let name = ttyname(&self.terminal)?;
        let status = Command::new("stty")
            .arg("-F")
            .arg(name)
            .args(["cols", &columns.to_string(), "rows", &lines.to_string()])
            .status()?;
        ensure!(status.success(), "stty ended with {status}");
        Ok(())
    }

    /// Whether the terminal echoes and gives whole lines: as a shell wants it.
    pub fn is_as_a_shell_wants_it(&self) -> Result<bool> {
        let name = ttyname(&self.terminal)?;
        let told = Command::new("stty")
            .arg("-F")
            .arg(name)
            .arg("-a")
            .output()?;
        let told = String::from_utf8_lossy(&told.stdout).into_owned();
        let words: Vec<&str> = told.split_whitespace().collect();
        Ok(words.contains(&"icanon") && words.contains(&"echo"))
    }

    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill(Pid::from_raw(self.child.id() as i32), signal).context("signalling a program")
    }

    /// How it ends, within ten seconds.
    pub fn end(&mut self) -> Result<ExitStatus> {
        let ended = wait_for(Duration::from_secs(10), || Ok(self.child.try_wait()?))?;
        ended.with_context(|| format!("it did not end; its screen:\n{}", self.screen()))
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        // It may have ended already.
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}

/// Plays what was written on a screen of so many columns and lines: text, and of the control sequences
/// (ECMA-48) the cursor's position and the erasure of the screen; others only style it.
fn shown(written: &str, (columns, lines): (u16, u16)) -> String {
    let (columns, lines) = (usize::from(columns), usize::from(lines));
    let mut screen = vec![vec![' '; columns]; lines];
    let (mut line, mut column) = (0_usize, 0_usize);
    let mut rest = written.chars();
    while let Some(character) = rest.next() {
        match character {
            '\u{1b}' => {
                if rest.next() != Some('[') {
                    continue;
                }
                let mut numbers = String::new();
                let last = rest.find(|c| {
                    let ends = ('@'..='~').contains(c);
                    if !ends {
                        numbers.push(*c);
                    }
                    ends
                });
                match last {
                    Some('H') => {
                        let mut numbers = numbers.split(';').map(|n| n.parse().unwrap_or(1_usize));
                        line = numbers.next().unwrap_or(1).saturating_sub(1);
                        column = numbers.next().unwrap_or(1).saturating_sub(1);
                    }
                    Some('J') => screen = vec![vec![' '; columns]; lines],
                    _ => {}
                }
            }
            '\r' => column = 0,
            '\n' => line += 1,
            character => {
                if let Some(cell) = screen.get_mut(line).and_then(|line| line.get_mut(column)) {
                    *cell = character;
                }
                column += 1;
            }
        }
    }
    let lines = screen.into_iter();
    let lines: Vec<String> = lines.map(|line| line.into_iter().collect()).collect();
    lines.join("\n")
}
