-- Packets that could not be digested.
CREATE TABLE unread (
    run_id integer NOT NULL,
    reason text    NOT NULL,
    count  bigint  NOT NULL,
    CONSTRAINT unread_pkey PRIMARY KEY (run_id, reason)
) WITH (fillfactor = 50);
COMMENT ON TABLE unread IS 'Packets that could not be digested, by reason';
COMMENT ON COLUMN unread.run_id IS 'run.id';
