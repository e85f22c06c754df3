-- One start of an agent at one vantage. What changes with every commit of its digests lives here, so that a
-- commit locks one row.
CREATE TABLE run (
    id                   integer GENERATED ALWAYS AS IDENTITY CONSTRAINT run_pkey PRIMARY KEY,
    run_id               uuid    NOT NULL,
    vantage_id           integer NOT NULL,
    source               text    NOT NULL,
    selection            text    NOT NULL,
    agent_version        text    NOT NULL,
    interfaces           text[]  NOT NULL,
    filter               text    NOT NULL,
    snaplen              bigint  NOT NULL,
    committed            bigint  NOT NULL DEFAULT 0,
    received             bigint  NOT NULL DEFAULT 0,
    dropped              bigint  NOT NULL DEFAULT 0,
    first_ns             bigint,
    last_ns              bigint,
    coverage_from_ns     bigint,
    coverage_until_ns    bigint,
    coverage_dropped     bigint,
    registered_at        timestamptz NOT NULL DEFAULT now(),
    connected_at         timestamptz NOT NULL DEFAULT now(),
    finished_at          timestamptz,
    CONSTRAINT run_run_id_key UNIQUE (run_id),
    CONSTRAINT run_vantage_fkey FOREIGN KEY (vantage_id) REFERENCES vantage (id),
    CONSTRAINT run_source_check CHECK (source IN ('live', 'file')),
    CONSTRAINT run_selection_check CHECK (selection IN ('all', 'context')),
    CONSTRAINT run_committed_check CHECK (committed >= 0)
) WITH (fillfactor = 50);
COMMENT ON TABLE run IS 'Starts of agents';
COMMENT ON COLUMN run.id IS 'Short stand-in for run_id';
COMMENT ON COLUMN run.run_id IS 'Chosen by the agent at its start (UUID v7), kept over reconnects';
COMMENT ON COLUMN run.selection IS 'Which segments the agent ships: all, or context (around resets only)';
COMMENT ON COLUMN run.committed IS 'Every digest with a number below this is stored';
COMMENT ON COLUMN run.received IS 'Packets that passed the capture filter';
COMMENT ON COLUMN run.dropped IS 'Packets lost between wire and digest';
COMMENT ON COLUMN run.first_ns IS 'Start of its first coverage, Unix nanoseconds by the agent''s clock';
COMMENT ON COLUMN run.last_ns IS 'End of its last coverage, Unix nanoseconds by the agent''s clock';
COMMENT ON COLUMN run.coverage_from_ns IS 'Key of the latest coverage row, which the next beat may extend';
COMMENT ON COLUMN run.coverage_until_ns IS 'End of the latest coverage row; beats up to here are counted';
COMMENT ON COLUMN run.coverage_dropped IS 'Loss of the latest coverage row';
COMMENT ON COLUMN run.finished_at IS 'When the agent said goodbye; null: it did not';

-- Serves: the runs of a vantage (GET /v1/vantages, and what a vantage ships).
CREATE INDEX run_vantage ON run (vantage_id);
