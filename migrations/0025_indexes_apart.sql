-- The planner took these for a case's questions while the partitions of other days were empty, and would have read them
-- whole later. What serves dropping only is not for questions: they use no bitmaps (PLANS in collector/src/store/connect.rs).
DROP INDEX digest_other_by_time, packed_other_by_time, payload_other_by_time;
CREATE INDEX digest_other_by_time ON digest_other USING brin (time_ns);
CREATE INDEX packed_other_by_time ON packed_other USING brin (last_ns);
CREATE INDEX payload_other_by_time ON payload_other USING brin (time_ns);

-- An index of some flags fits every question about these flags, and while a day is empty one index seems as good as
-- another: read without a range it would be read whole later. So each has a condition that only its own questions name.
DROP INDEX digest_handshakes, digest_accepts, digest_numbers, digest_answers, digest_resets_by_time;
-- Serves: sql/handshakes.sql, SYN and SYN+ACK between two addresses at one vantage around a moment.
CREATE INDEX digest_handshakes ON digest (vantage_id, LEAST(src, dst), GREATEST(src, dst), time_ns)
    WHERE (flags & 6) = 2 AND sport >= 0;
-- Serves: sql/accepts.sql, SYN+ACK from one endpoint at one vantage around a moment.
CREATE INDEX digest_accepts ON digest (vantage_id, src, sport, time_ns) WHERE (flags & 22) = 18 AND sport >= 0;
-- Serves: sql/kin.sql, flows that began with a number.
CREATE INDEX digest_numbers ON digest (seq) WHERE (flags & 6) = 2 AND seq >= 0;
-- Serves: sql/kin.sql, flows whose SYN+ACK acknowledges a number.
CREATE INDEX digest_answers ON digest (ack) WHERE (flags & 22) = 18 AND ack >= 0;
-- Serves: sql/nearby_resets.sql, RSTs of any flow at one vantage around a moment.
CREATE INDEX digest_resets_by_time ON digest (vantage_id, time_ns) WHERE (flags & 4) <> 0 AND sport >= 0;
