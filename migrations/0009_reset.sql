-- Resets and their verdicts. `report` is the document; the other columns are what questions filter by.
CREATE TABLE reset (
    flow       bigint  NOT NULL,
    identity   bigint  NOT NULL,
    id         uuid    NOT NULL,
    time_ns    bigint  NOT NULL,
    src        inet    NOT NULL,
    dst        inet    NOT NULL,
    sport      integer NOT NULL,
    dport      integer NOT NULL,
    origin     text    NOT NULL,
    cause      text    NOT NULL,
    between_a  text,
    between_b  text,
    seen_at    text[]  NOT NULL,
    settled    boolean NOT NULL,
    report     jsonb   NOT NULL,
    judged_at  timestamptz NOT NULL DEFAULT now(),
    changed_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT reset_pkey PRIMARY KEY (flow, identity),
    CONSTRAINT reset_origin_check CHECK (origin IN ('endpoint', 'middlebox', 'undetermined'))
);
COMMENT ON TABLE reset IS 'Resets and their verdicts';
COMMENT ON COLUMN reset.flow IS 'As in digest';
COMMENT ON COLUMN reset.identity IS 'What makes a reset the same one when it is judged again; bit pattern of an unsigned number';
COMMENT ON COLUMN reset.id IS 'UUID v7 of the first judgement; it stays';
COMMENT ON COLUMN reset.time_ns IS 'First sighting, Unix nanoseconds by that vantage''s clock';
COMMENT ON COLUMN reset.between_a IS 'The vantage before the place of birth, from the claimed sender''s side; null: none or beyond the outermost';
COMMENT ON COLUMN reset.between_b IS 'The vantage after the place of birth';
COMMENT ON COLUMN reset.settled IS 'No evidence came for a while; late evidence still changes it';
COMMENT ON COLUMN reset.report IS 'The reset as documents show it';
COMMENT ON COLUMN reset.changed_at IS 'When the verdict last became another';

-- Serves: GET /v1/resets, the newest resets, and the resets within a late coverage.
CREATE INDEX reset_by_time ON reset (time_ns DESC, id);

-- Serves: GET /v1/resets/{id}.
CREATE INDEX reset_by_id ON reset (id);
