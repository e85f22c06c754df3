-- Table digest by day. What is there stays where it is, as the partition of other days.
DROP INDEX digest_payloads, digest_openings, digest_resets;
ALTER TABLE digest ADD COLUMN day integer NOT NULL DEFAULT 0;
ALTER TABLE digest ALTER COLUMN day DROP DEFAULT;
ALTER TABLE digest RENAME TO digest_other;
ALTER INDEX digest_by_flow RENAME TO digest_other_by_flow;
ALTER INDEX digest_handshakes RENAME TO digest_other_handshakes;
ALTER INDEX digest_accepts RENAME TO digest_other_accepts;
ALTER INDEX digest_numbers RENAME TO digest_other_numbers;
ALTER INDEX digest_answers RENAME TO digest_other_answers;
ALTER INDEX digest_reset_numbers RENAME TO digest_other_reset_numbers;
ALTER INDEX digest_resets_by_time RENAME TO digest_other_resets_by_time;
CREATE TABLE digest (LIKE digest_other INCLUDING COMMENTS) PARTITION BY LIST (day);
COMMENT ON TABLE digest IS 'SYN and RST segments as vantages saw them; of other segments those that table packed cannot hold';
COMMENT ON COLUMN digest.day IS 'Day of time_ns, or 0: see table day';
COMMENT ON TABLE digest_other IS 'Digests of days that have no partition of their own, and all of before there were partitions';

-- Serves: sql/sightings.sql, sql/segments.sql, sql/neighbours.sql and sql/kin.sql, a flow's digests.
CREATE INDEX digest_by_flow ON digest (flow, vantage_id, time_ns);
-- Serves: sql/handshakes.sql, SYN and SYN+ACK between two addresses at one vantage around a moment.
CREATE INDEX digest_handshakes ON digest (vantage_id, LEAST(src, dst), GREATEST(src, dst), time_ns)
    WHERE (flags & 6) = 2;
-- Serves: sql/handshakes.sql, SYN+ACK from one endpoint at one vantage around a moment.
CREATE INDEX digest_accepts ON digest (vantage_id, src, sport, time_ns) WHERE (flags & 22) = 18;
-- Serves: sql/kin.sql, flows that began with a number.
CREATE INDEX digest_numbers ON digest (seq) WHERE (flags & 6) = 2;
-- Serves: sql/kin.sql, flows whose SYN+ACK acknowledges a number.
CREATE INDEX digest_answers ON digest (ack) WHERE (flags & 22) = 18;
-- Serves: sql/kin.sql, flows with a RST of a number.
CREATE INDEX digest_reset_numbers ON digest (seq) WHERE (flags & 4) <> 0 AND seq <> 0;
-- Serves: sql/nearby_resets.sql, RSTs of any flow at one vantage around a moment.
CREATE INDEX digest_resets_by_time ON digest (vantage_id, time_ns) WHERE (flags & 4) <> 0;

ALTER TABLE digest ATTACH PARTITION digest_other FOR VALUES IN (0);

-- Serves: dropping what is old of other days.
CREATE INDEX digest_other_by_time ON digest_other (time_ns);
