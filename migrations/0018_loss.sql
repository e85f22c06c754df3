-- What vantages lost, or may have lost: told by their agents.
CREATE TABLE loss (
    run_id     integer NOT NULL,
    vantage_id integer NOT NULL,
    cause      text    NOT NULL,
    lost       text    NOT NULL,
    from_ns    bigint  NOT NULL,
    until_ns   bigint,
    strength   text    NOT NULL,
    count      bigint,
    detail     text,
    CONSTRAINT loss_pkey PRIMARY KEY (run_id, cause, lost, from_ns),
    CONSTRAINT loss_order_check CHECK (from_ns <= until_ns),
    CONSTRAINT loss_strength_check CHECK (strength IN ('certain', 'possible')),
    CONSTRAINT loss_count_check CHECK (count >= 0)
);
COMMENT ON TABLE loss IS 'What runs lost or may have lost: an absence in such a time says little or nothing';
COMMENT ON COLUMN loss.run_id IS 'run.id';
COMMENT ON COLUMN loss.cause IS 'kernel, interface, ring, spool, spool_damaged, restart, clock_step, filter, sampling, one_direction, host_firewall, unreadable';
COMMENT ON COLUMN loss.lost IS 'packets (RSTs may be among them), or digests: segments, context (around RSTs), resets';
COMMENT ON COLUMN loss.from_ns IS 'First nanosecond of the time in which it passed, by the vantage''s clock';
COMMENT ON COLUMN loss.until_ns IS 'Last nanosecond of it; null: as long as the run lasts';
COMMENT ON COLUMN loss.strength IS 'certain: something is missing; possible: something may be';
COMMENT ON COLUMN loss.count IS 'How many; null: not known';
COMMENT ON COLUMN loss.detail IS 'What else there is to say, for instance the capture filter';

-- Serves: sql/losses.sql, a vantage's losses around a moment, and sql/loss_totals.sql.
CREATE INDEX loss_by_vantage ON loss (vantage_id, from_ns);
