-- Clocks by exchange of stamps on the stream (RFC 5905, section 8).
CREATE TABLE clock_exchange (
    run_id     integer NOT NULL,
    at_ns      bigint  NOT NULL,
    vantage_id integer NOT NULL,
    offset_ns  bigint  NOT NULL,
    error_ns   bigint  NOT NULL,
    CONSTRAINT clock_exchange_pkey PRIMARY KEY (run_id, at_ns),
    CONSTRAINT clock_exchange_error_check CHECK (error_ns >= 0)
);
COMMENT ON TABLE clock_exchange IS 'Vantages'' clocks against the database''s; at most a row a minute while nothing changes';
COMMENT ON COLUMN clock_exchange.run_id IS 'run.id';
COMMENT ON COLUMN clock_exchange.at_ns IS 'When it was found, Unix nanoseconds by the vantage''s clock';
COMMENT ON COLUMN clock_exchange.offset_ns IS 'Vantage''s clock minus database''s clock';
COMMENT ON COLUMN clock_exchange.error_ns IS 'It is off by no more than this: half of the round trips, and the drift since';

-- Serves: sql/clocks.sql, a vantage's clock around a moment.
CREATE INDEX clock_exchange_by_vantage ON clock_exchange (vantage_id, at_ns);
