-- The reason that a RST carries. Null in almost all rows: a null takes no room but its bit.
ALTER TABLE digest ADD COLUMN rst_reason bigint;
COMMENT ON COLUMN digest.rst_reason IS 'Reason carried by a RST: MPTCP option (RFC 8684, 3.6) 2^48 + 256 if transient + reason; diagnostic payload 2^49 + code * 2^32 + enterprise number; null: none';
