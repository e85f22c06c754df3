-- The hosts come first, so that the vantages that know two hosts are found without asking each of a fleet.
DROP INDEX digest_handshakes;
-- Serves: sql/handshakes.sql, SYN and SYN+ACK between two addresses at one vantage around a moment; sql/acquainted.sql,
-- the vantages that have seen any.
CREATE INDEX digest_handshakes ON digest (LEAST(src, dst), GREATEST(src, dst), vantage_id, time_ns)
    WHERE (flags & 6) = 2 AND sport >= 0;
