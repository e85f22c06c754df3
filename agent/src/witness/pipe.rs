//! Lines of `trace_pipe`, without waiting.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::os::fd::AsFd as _;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// A longer line is no event.
const LINE_MAX: usize = 4096;

#[derive(Debug)]
pub(super) struct Pipe {
    file: File,
    /// What was read of a line whose end has not come.
    begun: Vec<u8>,
}

/// What a drain ended with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Drained {
    /// All that the kernel had is read.
    Empty,
    /// Enough for one turn; more may be there.
    Full,
}

impl Pipe {
    pub fn new(file: File) -> Self {
        Self {
            file,
            begun: Vec::new(),
        }
    }

    /// Waits until there is something to read, no longer than `patience`.
    pub fn wait(&self, patience: Duration) {
        let mut wanted = [PollFd::new(self.file.as_fd(), PollFlags::POLLIN)];
        let timeout = PollTimeout::try_from(patience).unwrap_or(PollTimeout::ZERO);
        // A signal that interrupts it shortens one wait.
        let _woken = poll(&mut wanted, timeout);
    }

    /// Reads what is there, but no more than `most` octets.
    pub fn drain(&mut self, most: usize, line: &mut dyn FnMut(&str)) -> io::Result<Drained> {
        let mut buffer = [0_u8; 16 * 1024];
        let mut taken = 0;
        while taken < most {
            match self.file.read(&mut buffer) {
                Ok(0) => return Ok(Drained::Empty),
                Ok(count) => {
                    taken += count;
                    self.split(&buffer[..count], line);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Drained::Empty),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Drained::Full)
    }

    fn split(&mut self, octets: &[u8], line: &mut dyn FnMut(&str)) {
        for part in octets.split_inclusive(|octet| *octet == b'\n') {
            if self.begun.len() + part.len() <= LINE_MAX {
                self.begun.extend_from_slice(part);
            }
            if part.ends_with(b"\n") {
                line(String::from_utf8_lossy(&self.begun).trim_end());
                self.begun.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Seek as _, Write as _};

    use super::*;

    #[test]
    fn lines_come_whole_however_they_are_cut() {
        let mut pipe = Pipe::new(tempfile::tempfile().unwrap());
        let mut lines = Vec::new();
        for part in ["one\ntw", "o", "\n\nthr", "ee\n"] {
            pipe.split(part.as_bytes(), &mut |line| lines.push(line.to_owned()));
        }
        assert_eq!(lines, ["one", "two", "", "three"]);
    }

    #[test]
    fn a_file_is_drained_to_its_end_and_a_turn_ends_before_a_flood_does() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all("x\n".repeat(20_000).as_bytes()).unwrap();
        file.rewind().unwrap();
        let mut pipe = Pipe::new(file);
        let mut lines = 0;
        assert_eq!(
            pipe.drain(20_000, &mut |_| lines += 1).unwrap(),
            Drained::Full
        );
        assert_eq!(
            pipe.drain(1 << 20, &mut |_| lines += 1).unwrap(),
            Drained::Empty
        );
        assert_eq!(lines, 20_000);
    }
}
