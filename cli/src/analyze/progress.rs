//! How far the reading of large files is, for a terminal.

use std::cell::Cell;
use std::path::Path;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::plain::plain;

/// A line on standard error while files are read; nothing where that is no terminal.
pub struct Progress {
    bar: ProgressBar,
    unreported: Cell<u64>,
}

/// The bar hears of packets in lots of this size: it takes a lock each time.
const LOT: u64 = 8192;

impl Progress {
    pub fn start() -> Self {
        let bar = ProgressBar::new_spinner();
        if let Ok(style) =
            ProgressStyle::with_template("{spinner} {msg}: {human_pos} packets, {per_sec}")
        {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(120));
        Self {
            bar,
            unreported: Cell::new(0),
        }
    }

    pub fn begin(&self, file: &Path) {
        let name = plain(&file.display().to_string());
        self.bar.set_message(format!("reading {name}"));
    }

    pub fn packet(&self) {
        let count = self.unreported.get() + 1;
        if count == LOT {
            self.bar.inc(count);
            self.unreported.set(0);
        } else {
            self.unreported.set(count);
        }
    }

    pub fn done(&self) {
        self.bar.finish_and_clear();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
