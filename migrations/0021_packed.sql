-- Days of which digests are stored apart, so that old ones are dropped and not deleted. What was captured on another
-- day (an old file, a clock that is far off) has day 0.
CREATE TABLE day (
    day integer NOT NULL CONSTRAINT day_pkey PRIMARY KEY,
    CONSTRAINT day_check CHECK (day > 0)
);
COMMENT ON TABLE day IS 'Days that have partitions of digest, packed and payload; a load holds the row (FOR KEY SHARE)';
COMMENT ON COLUMN day.day IS 'Days since 1970-01-01 UTC';

-- Segments that are neither SYN nor RST: those of one flow, run and hour that were stored at once are one row, so that
-- the index grows by rows and not by segments.
CREATE TABLE packed (
    flow         bigint   NOT NULL,
    first_ns     bigint   NOT NULL,
    last_ns      bigint   NOT NULL,
    first_number bigint   NOT NULL,
    vantage_id   integer  NOT NULL,
    run_id       integer  NOT NULL,
    day          integer  NOT NULL,
    segments     smallint NOT NULL,
    octets       bytea    NOT NULL
) PARTITION BY LIST (day);
COMMENT ON TABLE packed IS 'TCP segments as vantages saw them, many to a row; what table digest has not';
COMMENT ON COLUMN packed.flow IS 'As in digest';
COMMENT ON COLUMN packed.first_ns IS 'Earliest capture time, Unix nanoseconds by the vantage''s clock';
COMMENT ON COLUMN packed.last_ns IS 'Latest capture time, less than an hour after first_ns';
COMMENT ON COLUMN packed.first_number IS 'Lowest number within the run';
COMMENT ON COLUMN packed.day IS 'Day of first_ns, or 0: see table day';
COMMENT ON COLUMN packed.segments IS 'How many segments';
COMMENT ON COLUMN packed.octets IS 'zstd of a message Pack (collector/src/store/packed.rs): parallax.v1.DigestBatch and numbers';
-- Compressed already, and read with its row: neither compressed again nor kept elsewhere while it fits a page.
ALTER TABLE packed ALTER COLUMN octets SET STORAGE EXTERNAL;

-- Serves: sql/packed_segments.sql and sql/packed_neighbours.sql, a flow's segments at one vantage around a moment.
CREATE INDEX packed_by_flow ON packed (flow, vantage_id, first_ns);

-- Payloads by which a flow may be known under another name: a few of each packed row are enough, since who looks for
-- them knows all of the other's.
CREATE TABLE payload (
    hash    bigint  NOT NULL,
    time_ns bigint  NOT NULL,
    flow    bigint  NOT NULL,
    day     integer NOT NULL
) PARTITION BY LIST (day);
COMMENT ON TABLE payload IS 'Flows by payload, a few segments of each packed row';
COMMENT ON COLUMN payload.hash IS 'As digest.payload_hash';
COMMENT ON COLUMN payload.time_ns IS 'Capture time of the segment';
COMMENT ON COLUMN payload.flow IS 'As in digest';
COMMENT ON COLUMN payload.day IS 'Day of time_ns, or 0: see table day';

-- Serves: sql/carriers.sql, flows that carry a payload around a time.
CREATE INDEX payload_by_hash ON payload (hash, time_ns);

CREATE TABLE packed_other PARTITION OF packed FOR VALUES IN (0) WITH (toast_tuple_target = 8160);
CREATE TABLE payload_other PARTITION OF payload FOR VALUES IN (0);

-- Serves: dropping what is old of other days.
CREATE INDEX packed_other_by_time ON packed_other (last_ns);
CREATE INDEX payload_other_by_time ON payload_other (time_ns);

INSERT INTO payload (hash, time_ns, flow, day)
SELECT payload_hash, time_ns, flow, 0 FROM digest WHERE payload_hash IS NOT NULL AND payload_len >= 16;
