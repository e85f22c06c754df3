//! The commands of `parallax-agent`.

pub mod digest;
