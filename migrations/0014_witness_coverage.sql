-- Spans in which kernel witnesses listened.
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
