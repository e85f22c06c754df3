-- Serves: sql/handshakes.sql, SYN and SYN+ACK between two addresses at one vantage around a moment.
CREATE INDEX digest_handshakes ON digest (vantage_id, LEAST(src, dst), GREATEST(src, dst), time_ns)
    WHERE (flags & 6) = 2;

-- Serves: sql/handshakes.sql, SYN+ACK from one endpoint at one vantage around a moment.
CREATE INDEX digest_accepts ON digest (vantage_id, src, sport, time_ns) WHERE (flags & 22) = 18;
