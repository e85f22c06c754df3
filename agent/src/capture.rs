//! Where packets come from: capture files, standard input, and interfaces.

pub mod file;
pub mod live;
