//! How far the reading of large files is, for a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use parallax_core::archive::Purpose;

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

    /// Begins to read files, of `total` octets together, where that is known.
    pub fn read(&self, purpose: Purpose, files: usize, total: Option<u64>) -> Reading {
        let doing = match purpose {
            Purpose::Resets => "looking for resets in",
            Purpose::Segments => "looking for their connections in",
            Purpose::Neighbours => "looking around them in",
            Purpose::Carriers => "looking for proxied connections in",
        };
        let files = match files {
            1 => "one file".to_owned(),
            files => format!("{files} files"),
        };
        let template = if total.is_some() {
            KNOWN_LENGTH
        } else {
            UNKNOWN_LENGTH
        };
        self.stage(&format!("{doing} {files}"), template, total);
        Reading(self.bar.clone())
    }

    /// Begins the judging of `total` flows.
    pub fn judge(&self, total: u64) -> Steps {
        self.stage("judging", FLOWS, Some(total));
        Steps(self.bar.clone())
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
}

/// Octets that are read, by whichever thread.
pub struct Reading(ProgressBar);

impl Reading {
    /// So many more are read.
    pub fn advance(&self, octets: u64) {
        self.0.inc(octets);
    }
}

/// What is done one by one, by whichever thread.
pub struct Steps(ProgressBar);

impl Steps {
    pub fn done(&self) {
        self.0.inc(1);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
