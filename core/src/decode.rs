//! Bytes to digest.
