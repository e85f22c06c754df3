-- What runs watched. Neighbouring spans without loss are one row.
CREATE TABLE coverage (
    run_id     integer NOT NULL,
    vantage_id integer NOT NULL,
    from_ns    bigint  NOT NULL,
    until_ns   bigint  NOT NULL,
    received   bigint  NOT NULL,
    dropped    bigint  NOT NULL,
    CONSTRAINT coverage_pkey PRIMARY KEY (run_id, from_ns),
    CONSTRAINT coverage_order_check CHECK (from_ns <= until_ns)
) WITH (fillfactor = 50);
COMMENT ON TABLE coverage IS 'Spans in which a run was capturing';
COMMENT ON COLUMN coverage.run_id IS 'run.id';
COMMENT ON COLUMN coverage.from_ns IS 'First nanosecond watched, by the vantage''s clock';
COMMENT ON COLUMN coverage.until_ns IS 'Last nanosecond watched';
COMMENT ON COLUMN coverage.received IS 'Packets that passed the capture filter in this span';
COMMENT ON COLUMN coverage.dropped IS 'Packets lost between wire and digest in this span';

-- Serves: sql/coverage.sql, a vantage's spans around a moment.
CREATE INDEX coverage_by_vantage ON coverage (vantage_id, from_ns);
