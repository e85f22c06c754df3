//! Captures at vantages and streams digests to a collector.
