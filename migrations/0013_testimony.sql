-- What kernel witnesses of host vantages said, and when they listened: Linux's tracepoints tcp:tcp_send_reset and
-- tcp:tcp_receive_reset.
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
-- Serves: sql/testimony.sql, a flow's statements at a vantage around a moment.
CREATE INDEX testimony_by_flow ON testimony (flow, vantage_id, time_ns);

COMMENT ON TABLE testimony IS 'What kernels said of RSTs that their TCP sent or accepted';
COMMENT ON COLUMN testimony.flow IS 'xxh3-64 of the 4-tuple without direction, as in digest';
COMMENT ON COLUMN testimony.time_ns IS 'Unix nanoseconds by the clock that stamps the vantage''s packets';
COMMENT ON COLUMN testimony.error_ns IS 'How far time_ns may be off';
COMMENT ON COLUMN testimony.number IS 'Counts from 0 within the run';
COMMENT ON COLUMN testimony.run_id IS 'run.id';
COMMENT ON COLUMN testimony.src IS 'Sender of the RST; of a listening socket perhaps no address';
COMMENT ON COLUMN testimony.dport IS '0: a listening socket refused a segment, and the kernel names no peer';
COMMENT ON COLUMN testimony.act IS '1 sent in answer to a segment, 2 sent because of the program or a timer, 3 accepted';
COMMENT ON COLUMN testimony.reason IS 'The kernel''s word (enum sk_rst_reason); null: accepted, or a kernel before 6.10';

CREATE TABLE witness_coverage (
    run_id        integer NOT NULL,
    vantage_id    integer NOT NULL,
    from_ns       bigint  NOT NULL,
    until_ns      bigint  NOT NULL,
    lost          bigint  NOT NULL,
    oath          text    NOT NULL,
    own_interface boolean NOT NULL,
    kernel        text    NOT NULL,
    CONSTRAINT witness_coverage_pkey PRIMARY KEY (run_id, from_ns),
    CONSTRAINT witness_coverage_order_check CHECK (from_ns <= until_ns),
    CONSTRAINT witness_coverage_oath_check CHECK (oath IN ('nothing', 'with_socket', 'everything'))
) WITH (fillfactor = 50);
COMMENT ON TABLE witness_coverage IS 'Spans in which a host''s kernel witness listened; its silence there says that its TCP sent no RST';
COMMENT ON COLUMN witness_coverage.run_id IS 'run.id';
COMMENT ON COLUMN witness_coverage.from_ns IS 'First nanosecond, by the clock that stamps the vantage''s packets';
COMMENT ON COLUMN witness_coverage.until_ns IS 'Last nanosecond; it moves on while the span lasts';
COMMENT ON COLUMN witness_coverage.lost IS 'Statements lost in this span';
COMMENT ON COLUMN witness_coverage.oath IS 'Of which RSTs it would have heard: nothing (not this kernel''s addresses), with_socket (before Linux 6.10), everything';
COMMENT ON COLUMN witness_coverage.own_interface IS 'The vantage captures on interfaces that bear the host''s addresses';
COMMENT ON COLUMN witness_coverage.kernel IS 'Kernel release, for people';

-- Serves: sql/witness_coverage.sql, a vantage's spans around a moment.
CREATE INDEX witness_coverage_by_vantage ON witness_coverage (vantage_id, from_ns);
