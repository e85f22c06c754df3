//! The protocol between agents and collector: generated messages, and [`batch`], the one place
//! where digests become columns and columns become digests again; [`testimony`] does it for what kernels say.

pub mod batch;
pub mod packed;
pub mod testimony;

/// The encoded `FileDescriptorSet` of all files, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// Messages and services of `parallax.v1`.
#[allow(clippy::all, clippy::pedantic, reason = "generated code")]
pub mod v1 {
    tonic::include_proto!("parallax.v1");
}
