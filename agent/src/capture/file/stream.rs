//! A file, a pipe or the inside of a gzip as one buffer that moves forward.

use std::fs::File;
use std::io::{self, Cursor, ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::read::MultiGzDecoder;

use super::Progress;

/// Octets asked for in one read: large enough that the call costs nothing beside the packets, small
/// enough to stay in a core's cache.
const BLOCK: usize = 128 * 1024;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

pub(super) struct Stream {
    input: Box<dyn Read + Send>,
    compression: Compression,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Of `start`, in the (decompressed) stream.
    offset: u64,
    ended: Ended,
    read: Arc<AtomicU64>,
    total: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Compression {
    None,
    Gzip,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    No,
    Whole,
    /// The gzip stream stopped before its end.
    Cut,
}

impl Stream {
    /// Opens a file, or standard input for `-`, and looks through gzip.
    pub fn open(path: &Path) -> io::Result<Self> {
        if path == Path::new("-") {
            return Self::new(io::stdin(), None);
        }
        let file = File::open(path)?;
        let about = file.metadata()?;
        if about.is_dir() {
            return Err(ErrorKind::IsADirectory.into());
        }
        Self::new(file, about.is_file().then_some(about.len()))
    }

    /// Opens a file that [is seekable](Self::is_seekable) at an offset.
    pub fn open_at(path: &Path, offset: u64) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let total = file.metadata()?.len();
        file.seek(SeekFrom::Start(offset))?;
        Ok(Self {
            offset,
            ..Self::of(file, Some(total))
        })
    }

    fn of(input: impl Read + Send + 'static, total: Option<u64>) -> Self {
        let read = Arc::new(AtomicU64::new(0));
        let counted = Counted {
            input,
            read: Arc::clone(&read),
        };
        Self {
            input: Box::new(counted),
            compression: Compression::None,
            buffer: vec![0; BLOCK],
            start: 0,
            end: 0,
            offset: 0,
            ended: Ended::No,
            read,
            total,
        }
    }

    fn new(input: impl Read + Send + 'static, total: Option<u64>) -> io::Result<Self> {
        let mut stream = Self::of(input, total);
        stream.fill(GZIP_MAGIC.len())?;
        if stream.ahead().starts_with(&GZIP_MAGIC) {
            let begun = Cursor::new(stream.ahead().to_vec());
            let raw = std::mem::replace(&mut stream.input, Box::new(io::empty()));
            stream.input = Box::new(MultiGzDecoder::new(begun.chain(raw)));
            stream.compression = Compression::Gzip;
            stream.end = 0;
            stream.ended = Ended::No;
        }
        Ok(stream)
    }

    /// Whether it can be opened again in its midst.
    pub fn is_seekable(&self) -> bool {
        self.total.is_some() && self.compression == Compression::None
    }

    /// Octets that are there without reading.
    #[inline]
    pub fn ahead(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Position of [`Self::ahead`] in the (decompressed) stream.
    #[inline]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Whether nothing follows, and the stream came to its proper end.
    pub fn is_whole(&self) -> bool {
        self.start == self.end && self.ended == Ended::Whole
    }

    /// Makes `len` octets be [ahead](Self::ahead); fewer only if the stream ends before them.
    #[expect(
        clippy::inline_always,
        reason = "the parts of each packet stay in registers"
    )]
    #[inline(always)]
    pub fn fill(&mut self, len: usize) -> io::Result<bool> {
        if self.end - self.start >= len {
            return Ok(true);
        }
        self.read_on(len)
    }

    #[cold]
    fn read_on(&mut self, len: usize) -> io::Result<bool> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.buffer.len() < len {
            self.buffer.resize(len.next_multiple_of(BLOCK), 0);
        }
        while self.end < len && self.ended == Ended::No {
            match self.input.read(&mut self.buffer[self.end..]) {
                Ok(0) => self.ended = Ended::Whole,
                Ok(more) => self.end += more,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error)
                    if error.kind() == ErrorKind::UnexpectedEof
                        && self.compression == Compression::Gzip =>
                {
                    self.ended = Ended::Cut;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(self.end >= len)
    }

    /// Moves past `len` octets, which must be ahead, and tells where they begin in the buffer: there
    /// they stay until the next [`Self::fill`].
    #[expect(
        clippy::inline_always,
        reason = "the parts of each packet stay in registers"
    )]
    #[inline(always)]
    pub fn take(&mut self, len: usize) -> usize {
        let start = self.start;
        self.start += len;
        self.offset += len as u64;
        start
    }

    /// Octets that were [taken](Self::take).
    #[expect(
        clippy::inline_always,
        reason = "the parts of each packet stay in registers"
    )]
    #[inline(always)]
    pub fn at(&self, start: usize, len: usize) -> &[u8] {
        &self.buffer[start..start + len]
    }

    pub fn progress(&self) -> Progress {
        Progress {
            read: self.read.load(Ordering::Relaxed),
            total: self.total,
        }
    }
}

struct Counted<R> {
    input: R,
    read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.input.read(buffer)?;
        self.read.fetch_add(len as u64, Ordering::Relaxed);
        Ok(len)
    }
}
