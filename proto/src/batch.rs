//! Digests to columns and back.
