-- Where tables are distributed (parallax-collector migrate --distributed) a question goes to one shard, so what is asked for
-- by other values than the flow is kept once more by these values. Elsewhere indexes of table digest do, and these tables
-- stay empty.
CREATE TABLE near (LIKE digest INCLUDING COMMENTS) PARTITION BY LIST (day);
COMMENT ON TABLE near IS 'Rows of table digest once more, by vantage; filled where tables are distributed';

-- Serves: sql/handshakes.sql, SYN and SYN+ACK between two addresses at one vantage around a moment.
CREATE INDEX near_handshakes ON near (vantage_id, LEAST(src, dst), GREATEST(src, dst), time_ns)
    WHERE (flags & 6) = 2 AND sport >= 0;
-- Serves: sql/accepts.sql, SYN+ACK from one endpoint at one vantage around a moment.
CREATE INDEX near_accepts ON near (vantage_id, src, sport, time_ns) WHERE (flags & 22) = 18 AND sport >= 0;
-- Serves: sql/nearby_resets.sql, RSTs of any flow at one vantage around a moment.
CREATE INDEX near_resets_by_time ON near (vantage_id, time_ns) WHERE (flags & 4) <> 0 AND sport >= 0;

CREATE TABLE opening (
    number  bigint  NOT NULL,
    time_ns bigint  NOT NULL,
    flow    bigint  NOT NULL,
    server  inet    NOT NULL,
    port    integer NOT NULL,
    day     integer NOT NULL
) PARTITION BY LIST (day);
COMMENT ON TABLE opening IS 'Flows by the numbers of their SYN, SYN+ACK and RST; filled where tables are distributed';
COMMENT ON COLUMN opening.number IS 'Sequence number, or of a SYN+ACK the number that it answers';
COMMENT ON COLUMN opening.time_ns IS 'Capture time of the segment';
COMMENT ON COLUMN opening.flow IS 'As in digest';
COMMENT ON COLUMN opening.server IS 'The end that a SYN goes to; of a RST its sender';
COMMENT ON COLUMN opening.day IS 'Day of time_ns, or 0: see table day';

-- Serves: sql/numbers_flows.sql, flows that bear a number.
CREATE INDEX opening_by_number ON opening (number);

CREATE TABLE near_other PARTITION OF near FOR VALUES IN (0);
CREATE TABLE opening_other PARTITION OF opening FOR VALUES IN (0);

-- Serves: dropping what is old of other days.
CREATE INDEX near_other_by_time ON near_other USING brin (time_ns);
CREATE INDEX opening_other_by_time ON opening_other USING brin (time_ns);
