-- Serves: sql/kin.sql, the handshake numbers of a flow.
CREATE INDEX digest_openings ON digest (flow) WHERE (flags & 6) = 2;

-- Serves: sql/kin.sql, flows that began with a number.
CREATE INDEX digest_numbers ON digest (seq) WHERE (flags & 6) = 2;

-- Serves: sql/kin.sql, flows whose SYN+ACK acknowledges a number.
CREATE INDEX digest_answers ON digest (ack) WHERE (flags & 22) = 18;

-- Serves: sql/kin.sql, flows with a RST of a number.
CREATE INDEX digest_reset_numbers ON digest (seq) WHERE (flags & 4) <> 0 AND seq <> 0;

-- Serves: sql/carriers.sql, flows that carry a payload around a time.
CREATE INDEX digest_payloads ON digest (payload_hash, time_ns) WHERE payload_hash IS NOT NULL AND payload_len >= 16;

-- Serves: sql/nearby_resets.sql, RSTs of any flow at one vantage around a moment.
CREATE INDEX digest_resets_by_time ON digest (vantage_id, time_ns) WHERE (flags & 4) <> 0;

-- What flows with resets have to do with other flows: evidence of those is evidence of these.
CREATE TABLE reset_kin (
    flow bigint NOT NULL,
    kin  bigint NOT NULL,
    CONSTRAINT reset_kin_pkey PRIMARY KEY (flow, kin)
);
COMMENT ON TABLE reset_kin IS 'Flows that may be the same connections as a flow with resets, or carry the same payload';
COMMENT ON COLUMN reset_kin.flow IS 'A flow with resets';
COMMENT ON COLUMN reset_kin.kin IS 'A flow whose segments were looked at when it was judged';

-- Serves: sql/enter_in_docket.sql, the flows with resets that a flow's evidence matters to.
CREATE INDEX reset_kin_by_kin ON reset_kin (kin);

-- The numbers with which flows with resets began: a SYN with one of them may be the same connection under
-- another name.
CREATE TABLE reset_number (
    number bigint NOT NULL,
    flow   bigint NOT NULL,
    CONSTRAINT reset_number_pkey PRIMARY KEY (number, flow)
);
COMMENT ON TABLE reset_number IS 'Initial sequence numbers of flows with resets';
COMMENT ON COLUMN reset_number.number IS 'As carried, 0 to 2^32-1';
