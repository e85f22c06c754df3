-- Places that forge resets, and who was told of them.
CREATE TABLE injection (
    between_a text        NOT NULL,
    between_b text        NOT NULL,
    episode   uuid        NOT NULL DEFAULT gen_random_uuid(),
    resets    bigint      NOT NULL,
    cause     text        NOT NULL,
    example   uuid        NOT NULL,
    began_at  timestamptz NOT NULL DEFAULT now(),
    last_at   timestamptz NOT NULL DEFAULT now(),
    quiet_at  timestamptz,
    CONSTRAINT injection_pkey PRIMARY KEY (between_a, between_b)
);
COMMENT ON TABLE injection IS 'Places at which settled verdicts say that resets were forged: the latest episode of each';
COMMENT ON COLUMN injection.between_a IS 'As reset.between_a; empty: beyond the outermost vantage';
COMMENT ON COLUMN injection.episode IS 'Drawn when a place begins to inject; another after it was quiet';
COMMENT ON COLUMN injection.resets IS 'Forged in this episode';
COMMENT ON COLUMN injection.cause IS 'Of the first of them';
COMMENT ON COLUMN injection.example IS 'reset.id of the first of them';
COMMENT ON COLUMN injection.quiet_at IS 'When it had been quiet for long enough; null: it injects';

CREATE TABLE notice (
    sink       text        NOT NULL,
    episode    uuid        NOT NULL,
    between_a  text        NOT NULL,
    between_b  text        NOT NULL,
    resets     bigint      NOT NULL,
    cause      text        NOT NULL,
    example    uuid        NOT NULL,
    began_at   timestamptz NOT NULL,
    entered_at timestamptz NOT NULL DEFAULT now(),
    due_at     timestamptz NOT NULL DEFAULT now(),
    attempts   integer     NOT NULL DEFAULT 0,
    until      timestamptz,
    ended_at   timestamptz,
    CONSTRAINT notice_pkey PRIMARY KEY (sink, episode)
);
COMMENT ON TABLE notice IS 'That a place began to inject, to be told once to each sink by any collector';
COMMENT ON COLUMN notice.sink IS 'Kind and hash of a URL; the URL itself may hold a secret';
COMMENT ON COLUMN notice.episode IS 'injection.episode';
COMMENT ON COLUMN notice.due_at IS 'When it is tried (again)';
COMMENT ON COLUMN notice.until IS 'Until when a collector tries it and no other does, though that one may be dead; null: none';
COMMENT ON COLUMN notice.ended_at IS 'When it was sent or given up; null: it waits';

CREATE TABLE sink (
    sink     text        NOT NULL CONSTRAINT sink_pkey PRIMARY KEY,
    taken_at timestamptz NOT NULL DEFAULT '-infinity',
    told_at  timestamptz NOT NULL DEFAULT '-infinity',
    due_at   timestamptz NOT NULL DEFAULT now(),
    failures integer     NOT NULL DEFAULT 0,
    until    timestamptz
);
COMMENT ON TABLE sink IS 'Sinks that are told all places again and again, by one collector at a time';
COMMENT ON COLUMN sink.taken_at IS 'When what is being told was read';
COMMENT ON COLUMN sink.told_at IS 'When what was told last was read';
