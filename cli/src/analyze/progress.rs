//! How far the reading of large files is, for a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::plain::plain;

/// A line on standard error while files are read; nothing where that is no terminal.
pub struct Progress {
    bar: ProgressBar,
}

const KNOWN_LENGTH: &str = "{msg} {bar:24} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
const UNKNOWN_LENGTH: &str = "{msg} {spinner} {bytes} {bytes_per_sec}";
const FLOWS: &str = "{msg} {bar:24} {pos}/{len} flows {eta}";

impl Progress {
    pub fn start() -> Self {
        let bar = ProgressBar::no_length();
        bar.enable_steady_tick(Duration::from_millis(150));
        Self { bar }
    }

    /// Begins a file of `total` octets, where that is known.
    pub fn begin(&self, file: &str, total: Option<u64>) {
        let template = if total.is_some() {
            KNOWN_LENGTH
        } else {
            UNKNOWN_LENGTH
        };
        self.stage(&format!("reading {}", plain(file)), template, total);
    }

    /// Begins the judging of `total` flows.
    pub fn judge(&self, total: u64) {
        self.stage("judging", FLOWS, Some(total));
    }

    fn stage(&self, words: &str, template: &str, total: Option<u64>) {
        self.bar.reset();
        match total {
            Some(total) => self.bar.set_length(total),
            None => self.bar.unset_length(),
        }
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style);
        }
        self.bar.set_message(words.to_owned());
    }

    /// So many octets of the file are read, or flows judged.
    pub fn at(&self, done: u64) {
        self.bar.set_position(done);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
