//! Capture files: pcap and pcapng, plain or gzipped, also from a pipe.
//!
//! Records are read in large blocks and decoded where they lie: no allocation a packet, no seeking.

mod error;
mod order;
mod pcap;
mod pcapng;
mod stream;

use std::path::Path;

use parallax_core::decode::{Head, LinkType, RawPacket, Unread, UnreadCounts, decode_into, head};
use parallax_core::{CaptureTime, Coverage, Digest};

pub use error::{FileError, FileWarning};

use error::Flaw;
use pcap::Pcap;
use pcapng::Pcapng;
use stream::Stream;

/// Reads the packets of one capture file, in the order of the file.
pub struct FileReader {
    /// As messages call it.
    name: String,
    stream: Stream,
    format: Format,
    state: State,
    packets: u64,
    digests: u64,
    unread: UnreadCounts,
    span: Option<(CaptureTime, CaptureTime)>,
    warnings: Vec<FileWarning>,
}

enum Format {
    Pcap(Pcap),
    Pcapng(Pcapng),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Reading,
    Ended,
}

/// Where a record's packet lies in the stream's buffer, with what the record says of it.
struct Record {
    time: Option<CaptureTime>,
    link: Option<LinkType>,
    original_len: u32,
    interface: u8,
    start: usize,
    len: usize,
}

impl Record {
    const NONE: Self = Self {
        time: None,
        link: None,
        original_len: 0,
        interface: 0,
        start: 0,
        len: 0,
    };
}

/// How far a file has been read, in octets as they lie on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    pub read: u64,
    /// Unknown for pipes.
    pub total: Option<u64>,
}

/// What a capture file held.
#[derive(Debug, Clone)]
pub struct FileSummary {
    /// As messages call it.
    pub file: String,
    /// Packets of any kind.
    pub packets: u64,
    pub digests: u64,
    /// The packets without digest: `packets` less `digests`.
    pub unread: UnreadCounts,
    /// From the first to the last packet of any kind; `None` without a packet that has a time.
    pub coverage: Option<Coverage>,
    pub warnings: Vec<FileWarning>,
}

impl FileReader {
    /// Opens a capture file; `-` is standard input.
    ///
    /// # Errors
    /// When the file cannot be opened or is no capture that can be read.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        let name = if path == Path::new("-") {
            "standard input".to_owned()
        } else {
            path.display().to_string()
        };
        let stream = Stream::open(path).map_err(|source| FileError::Open {
            file: name.clone(),
            source,
        })?;
        Self::start(name, stream)
    }

    fn start(name: String, mut stream: Stream) -> Result<Self, FileError> {
        let format = match recognize(&mut stream) {
            Ok(format) => format,
            Err(flaw) => return Err(flaw.in_file(&name)),
        };
        Ok(Self {
            name,
            stream,
            format,
            state: State::Reading,
            packets: 0,
            digests: 0,
            unread: UnreadCounts::default(),
            span: None,
            warnings: Vec::new(),
        })
    }

    /// The file as messages call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The next packet that has a time and a known link type; others are counted and passed over.
    /// `None` at the end, also at the end of a file that was cut (see [`Self::warnings`]).
    ///
    /// # Errors
    /// When the file cannot be read on, or what follows is no record.
    #[inline]
    pub fn next_packet(&mut self) -> Result<Option<RawPacket<'_>>, FileError> {
        let mut record = Record::NONE;
        let known = self.next_known(&mut record)?;
        Ok(known.map(|(time, link)| self.packet(&record, time, link)))
    }

    /// The head of the next segment, and the packet from which the rest of it can be decoded; packets without
    /// a digest are counted by reason. `None` at the end, as [`Self::next_packet`].
    ///
    /// # Errors
    /// As [`Self::next_packet`].
    #[inline]
    pub fn next_head(&mut self) -> Result<Option<(Head, RawPacket<'_>)>, FileError> {
        let mut record = Record::NONE;
        while let Some((time, link)) = self.next_known(&mut record)? {
            match head(&self.packet(&record, time, link)) {
                Ok(head) => {
                    self.digests += 1;
                    return Ok(Some((head, self.packet(&record, time, link))));
                }
                Err(reason) => self.unread.add(reason),
            }
        }
        Ok(None)
    }

    /// Writes the next record that has a time and a known link type where it is to stay, and returns these;
    /// `None` at the end.
    #[inline]
    fn next_known(
        &mut self,
        record: &mut Record,
    ) -> Result<Option<(CaptureTime, LinkType)>, FileError> {
        loop {
            if !self.next_record(record)? {
                return Ok(None);
            }
            self.packets += 1;
            if let Some(time) = record.time {
                self.span = Some(match self.span {
                    Some((from, until)) => (from.min(time), until.max(time)),
                    None => (time, time),
                });
            }
            match (record.time, record.link) {
                (Some(time), Some(link)) => return Ok(Some((time, link))),
                (_, None) => self.unread.add(Unread::UnsupportedLink),
                (None, _) => self.unread.add(Unread::NoTime),
            }
        }
    }

    #[inline]
    fn packet(&self, record: &Record, time: CaptureTime, link: LinkType) -> RawPacket<'_> {
        RawPacket {
            time,
            link,
            original_len: record.original_len,
            interface: record.interface,
            data: self.stream.at(record.start, record.len),
        }
    }

    /// The next digest; packets without one are counted by reason.
    ///
    /// # Errors
    /// As [`Self::next_packet`].
    pub fn next_digest(&mut self) -> Result<Option<Digest>, FileError> {
        let mut digest = Digest::BLANK;
        Ok(self.next_into(&mut digest)?.then_some(digest))
    }

    /// Writes the next digest where it is to stay; false at the end, as [`Self::next_digest`].
    ///
    /// # Errors
    /// As [`Self::next_packet`].
    #[inline]
    pub fn next_into(&mut self, place: &mut Digest) -> Result<bool, FileError> {
        while let Some(packet) = self.next_packet()? {
            match decode_into(&packet, place) {
                Ok(()) => {
                    self.digests += 1;
                    return Ok(true);
                }
                Err(reason) => self.unread.add(reason),
            }
        }
        Ok(false)
    }

    /// Writes the next record where it is to stay; false at the end.
    #[inline]
    fn next_record(&mut self, record: &mut Record) -> Result<bool, FileError> {
        if self.state == State::Ended {
            return Ok(false);
        }
        let next = match &mut self.format {
            Format::Pcap(pcap) => pcap.next(&mut self.stream, record),
            Format::Pcapng(pcapng) => pcapng.next(&mut self.stream).map(|next| match next {
                Some(next) => {
                    *record = next;
                    true
                }
                None => false,
            }),
        };
        match next {
            Ok(true) => Ok(true),
            Ok(false) => self.end(None),
            Err(flaw) => self.stop(flaw),
        }
    }

    #[cold]
    fn stop(&mut self, flaw: Flaw) -> Result<bool, FileError> {
        match flaw {
            Flaw::Cut { offset, what } => self.end(Some((offset, what))),
            flaw => Err(flaw.in_file(&self.name)),
        }
    }

    #[cold]
    fn end(&mut self, cut: Option<(u64, &'static str)>) -> Result<bool, FileError> {
        self.state = State::Ended;
        if let Some((offset, what)) = cut {
            self.warnings.push(FileWarning::Cut {
                file: self.name.clone(),
                offset,
                what,
            });
        }
        if let Format::Pcapng(pcapng) = &self.format {
            if let Some(source) = pcapng.only_unsupported() {
                let file = self.name.clone();
                return Err(FileError::UnsupportedLink { file, source });
            }
            let file = &self.name;
            self.warnings
                .extend(pcapng.unsupported().map(|(interface, source)| {
                    FileWarning::UnsupportedInterface {
                        file: file.clone(),
                        interface,
                        source,
                    }
                }));
        }
        Ok(false)
    }

    /// What deserves a word although reading went on; complete at the end of the file.
    pub fn warnings(&self) -> &[FileWarning] {
        &self.warnings
    }

    /// Packets read so far, of any kind.
    pub fn packets(&self) -> u64 {
        self.packets
    }

    /// Packets without digest so far. [`Self::next_packet`] adds only those that it passes over.
    pub fn unread(&self) -> &UnreadCounts {
        &self.unread
    }

    /// What the file can swear to, as far as it was read: from the first to the last packet of any
    /// kind, or to the end of the capture where pcapng's interface statistics tell it.
    ///
    /// The start of the capture in those statistics is left aside: of a ring of files each one
    /// names the start of the first.
    pub fn coverage(&self) -> Option<Coverage> {
        let (from, last) = self.span?;
        let (until, dropped) = match &self.format {
            Format::Pcap(_) => (last, 0),
            Format::Pcapng(pcapng) => (
                pcapng.end_time().map_or(last, |end| end.max(last)),
                pcapng.dropped(),
            ),
        };
        Some(Coverage {
            from,
            until,
            received: self.packets,
            dropped,
        })
    }

    pub fn progress(&self) -> Progress {
        self.stream.progress()
    }

    /// What was read so far, in sum.
    pub fn summary(&self) -> FileSummary {
        FileSummary {
            file: self.name.clone(),
            packets: self.packets,
            digests: self.digests,
            unread: self.unread,
            coverage: self.coverage(),
            warnings: self.warnings.clone(),
        }
    }
}

/// Reads a whole file and hands on its digests in the order of the file.
///
/// # Errors
/// As [`FileReader::open`] and [`FileReader::next_packet`].
pub fn read_digests(path: &Path, take: &mut impl FnMut(Digest)) -> Result<FileSummary, FileError> {
    let mut reader = FileReader::open(path)?;
    while let Some(digest) = reader.next_digest()? {
        take(digest);
    }
    Ok(reader.summary())
}

fn recognize(stream: &mut Stream) -> Result<Format, Flaw> {
    stream.fill(4)?;
    let Some(magic) = stream.ahead().first_chunk::<4>().copied() else {
        return Err(if stream.ahead().is_empty() {
            Flaw::Empty
        } else {
            Flaw::foreign(stream.ahead())
        });
    };
    if magic == pcapng::MAGIC {
        return Pcapng::open(stream).map(Format::Pcapng);
    }
    match Pcap::recognize(magic) {
        Some(kind) => Pcap::open(kind, stream).map(Format::Pcap),
        None => Err(Flaw::foreign(stream.ahead())),
    }
}
