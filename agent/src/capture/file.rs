//! Capture files: pcap and pcapng, plain or gzipped, also from a pipe.
//!
//! Records are read in large blocks and decoded where they lie: no allocation a packet, no seeking.

mod error;
mod order;
mod pcap;
mod pcapng;
mod stream;

use std::path::Path;

use parallax_core::archive::Glimpse;
use parallax_core::decode::{
    LinkType, RawPacket, Unread, UnreadCounts, decode, decode_into, glance, glance_v6,
};
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
    counts: Counts,
    warnings: Vec<FileWarning>,
}

/// What was read so far, in numbers.
#[derive(Clone, Default)]
struct Counts {
    packets: u64,
    digests: u64,
    unread: UnreadCounts,
    span: Option<(CaptureTime, CaptureTime)>,
}

/// A place in a file from which it can be read on, with what was known there.
#[derive(Clone)]
pub struct Place {
    offset: u64,
    format: Format,
    counts: Counts,
}

impl Place {
    /// Octets before it.
    pub fn offset(&self) -> u64 {
        self.offset
    }
}

/// What takes a file's segments.
pub trait Receive {
    fn receive(&mut self, segment: &impl Glimpse);
}

#[derive(Clone)]
enum Format {
    Pcap(Pcap),
    Pcapng(Pcapng),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Reading,
    Ended,
}

/// More interfaces than this, of all sections, are not kept in mind for each place.
const INTERFACES_MAX: usize = 64;

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
            counts: Counts::default(),
            warnings: Vec::new(),
        })
    }

    /// Opens a capture file to read it on from a place, as if it had been read until there.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open_at(path: &Path, place: &Place) -> Result<Self, FileError> {
        let name = path.display().to_string();
        match Stream::open_at(path, place.offset) {
            Ok(stream) => Ok(Self {
                name,
                stream,
                format: place.format.clone(),
                state: State::Reading,
                counts: place.counts.clone(),
                warnings: Vec::new(),
            }),
            Err(source) => Err(FileError::Open { file: name, source }),
        }
    }

    /// Where it is now, if it can be read on from there: no pipe, no gzip, no crowd of interfaces to keep in mind.
    pub fn place(&self) -> Option<Place> {
        let known = match &self.format {
            Format::Pcap(_) => 0,
            Format::Pcapng(pcapng) => pcapng.interfaces(),
        };
        let can_be_found = self.stream.is_seekable() && known <= INTERFACES_MAX;
        can_be_found.then(|| Place {
            offset: self.offset(),
            format: self.format.clone(),
            counts: self.counts.clone(),
        })
    }

    /// Octets of the (decompressed) file that were passed.
    pub fn offset(&self) -> u64 {
        self.stream.offset()
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

    /// Hands on the segments of the records that begin before an offset; packets without a digest are counted by
    /// reason. False at the end, as [`Self::next_packet`]. Records that are passed over go with the one behind them: an
    /// offset at which this returned before, or of a [`Place`], is met exactly.
    ///
    /// # Errors
    /// As [`Self::next_packet`].
    pub fn read_on(&mut self, until: u64, receiver: &mut impl Receive) -> Result<bool, FileError> {
        let mut record = Record::NONE;
        while self.offset() < until {
            let Some((time, link)) = self.next_known(&mut record)? else {
                return Ok(false);
            };
            match glance(&self.packet(&record, time, link)) {
                Some(Ok(segment)) => {
                    receiver.receive(&segment);
                    self.counts.digests += 1;
                }
                Some(Err(reason)) => self.counts.unread.add(reason),
                None => self.other(&record, time, link, receiver),
            }
        }
        Ok(true)
    }

    /// Packets of less common kinds. Apart, so that of the others all is known while this is built.
    #[inline(never)]
    fn other(
        &mut self,
        record: &Record,
        time: CaptureTime,
        link: LinkType,
        receiver: &mut impl Receive,
    ) {
        let packet = self.packet(record, time, link);
        let handed_on = match glance_v6(&packet) {
            Some(segment) => segment.map(|segment| receiver.receive(&segment)),
            None => decode(&packet).map(|digest| receiver.receive(&digest)),
        };
        match handed_on {
            Ok(()) => self.counts.digests += 1,
            Err(reason) => self.counts.unread.add(reason),
        }
    }

    /// Writes the next record that has a time and a known link type where it is to stay, and returns these;
    /// `None` at the end.
    #[expect(
        clippy::inline_always,
        reason = "the parts of each packet stay in registers"
    )]
    #[inline(always)]
    fn next_known(
        &mut self,
        record: &mut Record,
    ) -> Result<Option<(CaptureTime, LinkType)>, FileError> {
        loop {
            if !self.next_record(record)? {
                return Ok(None);
            }
            self.counts.packets += 1;
            if let Some(time) = record.time {
                self.counts.span = Some(match self.counts.span {
                    Some((from, until)) => (from.min(time), until.max(time)),
                    None => (time, time),
                });
            }
            match (record.time, record.link) {
                (Some(time), Some(link)) => return Ok(Some((time, link))),
                (_, None) => self.counts.unread.add(Unread::UnsupportedLink),
                (None, _) => self.counts.unread.add(Unread::NoTime),
            }
        }
    }

    #[expect(
        clippy::inline_always,
        reason = "the parts of each packet stay in registers"
    )]
    #[inline(always)]
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
        self.next_by(|packet| decode_into(packet, place))
    }

    /// Hands on packets until one is read; those that are not are counted by reason. False at the end, as
    /// [`Self::next_digest`].
    ///
    /// # Errors
    /// As [`Self::next_packet`].
    #[inline]
    pub fn next_by(
        &mut self,
        mut read: impl FnMut(&RawPacket<'_>) -> Result<(), Unread>,
    ) -> Result<bool, FileError> {
        let mut record = Record::NONE;
        while let Some((time, link)) = self.next_known(&mut record)? {
            match read(&self.packet(&record, time, link)) {
                Ok(()) => {
                    self.counts.digests += 1;
                    return Ok(true);
                }
                Err(reason) => self.counts.unread.add(reason),
            }
        }
        Ok(false)
    }

    /// Writes the next record where it is to stay; false at the end.
    #[expect(
        clippy::inline_always,
        reason = "the parts of each packet stay in registers"
    )]
    #[inline(always)]
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
        self.counts.packets
    }

    /// Packets without digest so far. [`Self::next_packet`] adds only those that it passes over.
    pub fn unread(&self) -> &UnreadCounts {
        &self.counts.unread
    }

    /// What the file can swear to, as far as it was read: from the first to the last packet of any
    /// kind, or to the end of the capture where pcapng's interface statistics tell it.
    ///
    /// The start of the capture in those statistics is left aside: of a ring of files each one
    /// names the start of the first.
    pub fn coverage(&self) -> Option<Coverage> {
        let (from, last) = self.counts.span?;
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
            received: self.counts.packets,
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
            packets: self.counts.packets,
            digests: self.counts.digests,
            unread: self.counts.unread,
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
