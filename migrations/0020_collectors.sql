-- Several collectors on one database: who holds which agent, and who judges which flow.
CREATE TABLE stream (
    vantage_id integer NOT NULL CONSTRAINT stream_pkey PRIMARY KEY,
    run_id     uuid    NOT NULL,
    collector  uuid    NOT NULL,
    seen_at    timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE stream IS 'Agents that are connected, of every collector; one that has not been seen for a while is not';
COMMENT ON COLUMN stream.run_id IS 'run.run_id';
COMMENT ON COLUMN stream.collector IS 'Drawn by each collector at its start';

ALTER TABLE docket
    ADD COLUMN touched_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN judge      uuid,
    ADD COLUMN until      timestamptz;
COMMENT ON COLUMN docket.touched_at IS 'When evidence came last; a flow that waits for long is taken up by any collector';
COMMENT ON COLUMN docket.judge IS 'The collector that judges the flow now; null: none';
COMMENT ON COLUMN docket.until IS 'Until when nobody else does, though it may be dead';
