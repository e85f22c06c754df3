//! Messages of agents, compressed: what travels as `packed` in `ingest.proto`.

use std::cell::RefCell;
use std::io;

use prost::Message;
use thiserror::Error;
use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::{CParameter, get_frame_content_size};

use crate::v1::AgentMessage;
use crate::v1::agent_message::Message as Said;

/// Smaller messages travel as they are.
const WORTH_IT: usize = 256;
/// Half of zstd's range of quick ones: below it long columns grow by a tenth, above it they hardly shrink.
const LEVEL: i32 = 3;
/// The quickest, for [short](SHORT) messages, which grow by one or two in a hundred and take a third less time.
const LEVEL_SHORT: i32 = 1;
const SHORT: usize = 1 << 14;

/// Why a message is not what was packed.
#[derive(Debug, Error)]
pub enum PackedError {
    #[error("packed message: it is no zstd frame that states its size")]
    Frame,
    #[error("packed message: {size} octets, more than {max}")]
    Size { size: u64, max: usize },
    #[error("packed message: {0}")]
    Octets(#[from] io::Error),
    #[error("packed message: {0}")]
    Message(#[from] prost::DecodeError),
    #[error("packed message: it is packed twice")]
    Twice,
}

/// Packs messages, with one set of buffers for all.
pub struct Packer {
    compressor: Compressor<'static>,
    plain: Vec<u8>,
}

impl Packer {
    /// # Errors
    /// No memory.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            compressor: Compressor::new(LEVEL)?,
            plain: Vec::new(),
        })
    }

    /// The message, packed where that is worth it.
    pub fn pack(&mut self, message: AgentMessage) -> AgentMessage {
        self.plain.clear();
        if message.encode(&mut self.plain).is_err() || self.plain.len() < WORTH_IT {
            return message;
        }
        match self.compress() {
            Ok(packed) => AgentMessage {
                message: Some(Said::Packed(packed)),
            },
            // It goes as it is.
            Err(_) => message,
        }
    }

    fn compress(&mut self) -> io::Result<Vec<u8>> {
        let level = if self.plain.len() <= SHORT {
            LEVEL_SHORT
        } else {
            LEVEL
        };
        self.compressor
            .set_parameter(CParameter::CompressionLevel(level))?;
        self.compressor.compress(&self.plain)
    }
}

thread_local! {
    /// A context takes 160 KiB: one for each thread, not one for each agent.
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// What was packed, if it takes no more than `max` octets.
///
/// # Errors
/// It is too large, or no message.
pub fn unpack(packed: &[u8], max: usize) -> Result<AgentMessage, PackedError> {
    let size = get_frame_content_size(packed)
        .ok()
        .flatten()
        .ok_or(PackedError::Frame)?;
    let capacity = usize::try_from(size)
        .ok()
        .filter(|size| *size <= max)
        .ok_or(PackedError::Size { size, max })?;
    let plain = DECOMPRESSOR.with_borrow_mut(|decompressor| {
        let decompressor = match decompressor {
            Some(decompressor) => decompressor,
            None => decompressor.insert(Decompressor::new()?),
        };
        decompressor.decompress(packed, capacity)
    })?;
    let message = AgentMessage::decode(plain.as_slice())?;
    match message.message {
        Some(Said::Packed(_)) => Err(PackedError::Twice),
        _ => Ok(message),
    }
}

#[cfg(test)]
mod tests {
    use crate::v1::Hello;

    use super::*;

    const MAX: usize = 1 << 20;

    fn hello(length: usize) -> AgentMessage {
        AgentMessage {
            message: Some(Said::Hello(Hello {
                filter: "tcp ".repeat(length / 4),
                ..Hello::default()
            })),
        }
    }

    fn packed(message: &AgentMessage) -> Vec<u8> {
        match Packer::new().unwrap().pack(message.clone()).message {
            Some(Said::Packed(octets)) => octets,
            other => panic!("not packed: {other:?}"),
        }
    }

    #[test]
    fn what_is_packed_comes_out_again() {
        let mut packer = Packer::new().unwrap();
        for length in [300, 100_000, 500] {
            let Some(Said::Packed(octets)) = packer.pack(hello(length)).message else {
                panic!("{length} octets were not packed");
            };
            assert!(octets.len() < length / 3);
            assert_eq!(unpack(&octets, MAX).unwrap(), hello(length));
        }
    }

    #[test]
    fn small_messages_travel_as_they_are() {
        assert_eq!(Packer::new().unwrap().pack(hello(40)), hello(40));
    }

    #[test]
    fn what_would_fill_memory_is_refused_before_it_is_unpacked() {
        let octets = packed(&hello(100_000));
        let refused = unpack(&octets, 99_999).unwrap_err();
        assert!(matches!(refused, PackedError::Size { max: 99_999, .. }));
    }

    #[test]
    fn a_size_that_lies_is_refused() {
        let mut octets = packed(&hello(400));
        // The size stands behind the magic number and the descriptor (RFC 8878, 3.1.1).
        octets[5] = octets[5].wrapping_sub(9);
        assert!(matches!(
            unpack(&octets, MAX),
            Err(PackedError::Octets(_) | PackedError::Frame)
        ));
    }

    #[test]
    fn a_package_in_a_package_is_refused() {
        let inner = AgentMessage {
            message: Some(Said::Packed(vec![7; 600])),
        };
        let refused = unpack(&packed(&inner), MAX).unwrap_err();
        assert!(matches!(refused, PackedError::Twice));
    }

    proptest::proptest! {
        #[test]
        fn noise_is_no_message(octets in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = unpack(&octets, MAX);
            let mut frame = packed(&hello(2_000));
            let at = octets.len() * 7 % frame.len();
            for (there, noise) in frame[at..].iter_mut().zip(&octets) {
                *there ^= noise;
            }
            let _ = unpack(&frame, MAX);
        }
    }
}
