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
        self.bar.reset();
        match total {
            Some(total) => self.bar.set_length(total),
            None => self.bar.unset_length(),
        }
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style);
        }
        self.bar.set_message(format!("reading {}", plain(file)));
    }

    /// So many octets of the file are read.
    pub fn at(&self, octets: u64) {
        self.bar.set_position(octets);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
