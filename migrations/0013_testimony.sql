-- What kernel witnesses of host vantages said: Linux's tracepoints tcp:tcp_send_reset and tcp:tcp_receive_reset.
CREATE TABLE testimony (
    flow       bigint   NOT NULL,
    time_ns    bigint   NOT NULL,
    error_ns   bigint   NOT NULL,
    number     bigint   NOT NULL,
    vantage_id integer  NOT NULL,
    run_id     integer  NOT NULL,
    src        inet     NOT NULL,
    dst        inet     NOT NULL,
    sport      integer  NOT NULL,
    dport      integer  NOT NULL,
    act        smallint NOT NULL,
    reason     text,
    CONSTRAINT testimony_pkey PRIMARY KEY (flow, run_id, number),
    CONSTRAINT testimony_act_check CHECK (act BETWEEN 1 AND 3)
);
COMMENT ON TABLE testimony IS 'What kernels said of RSTs that their TCP sent or accepted';
COMMENT ON COLUMN testimony.flow IS 'xxh3-64 of the 4-tuple without direction, as in digest';
COMMENT ON COLUMN testimony.time_ns IS 'Unix nanoseconds by the clock that stamps the vantage''s packets';
COMMENT ON COLUMN testimony.error_ns IS 'How far time_ns may be off';
COMMENT ON COLUMN testimony.number IS 'Counts from 0 within the run';
COMMENT ON COLUMN testimony.run_id IS 'run.id';
COMMENT ON COLUMN testimony.src IS 'Sender of the RST';
COMMENT ON COLUMN testimony.act IS '1 sent in answer to a segment, 2 sent because of the program or a timer, 3 accepted';
COMMENT ON COLUMN testimony.reason IS 'The kernel''s word (enum sk_rst_reason); null: accepted, or a kernel before 6.10';
