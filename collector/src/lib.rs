//! Joins digests in Postgres and judges resets.
