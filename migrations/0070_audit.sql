-- Who was refused, and who did what an administrator does.
CREATE TABLE audit (
    id           bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT audit_pkey PRIMARY KEY,
    at           timestamptz NOT NULL DEFAULT now(),
    last_at      timestamptz NOT NULL DEFAULT now(),
    who          text   NOT NULL,
    from_address inet,
    act          text   NOT NULL,
    object       text   NOT NULL,
    outcome      text   NOT NULL,
    reason       text   NOT NULL,
    count        bigint NOT NULL DEFAULT 1,
    CONSTRAINT audit_outcome_check CHECK (outcome IN ('done', 'refused', 'warned')),
    CONSTRAINT audit_count_check CHECK (count > 0),
    CONSTRAINT audit_order_check CHECK (at <= last_at)
);
COMMENT ON TABLE audit IS 'Refusals, counted (at most a hundred rows a minute and collector; of them the newest 100,000 are kept), and administrative acts, each (kept for good)';
COMMENT ON COLUMN audit.at IS 'When it happened, or first happened, by the database''s clock';
COMMENT ON COLUMN audit.last_at IS 'When it happened last within the minute';
COMMENT ON COLUMN audit.who IS 'user:NAME, certificate:SUBJECT, proxy:ADDRESS, local (from this machine), or unknown';
COMMENT ON COLUMN audit.from_address IS 'Where the connection came from; null: not over the network';
COMMENT ON COLUMN audit.act IS 'What was done or asked for';
COMMENT ON COLUMN audit.object IS 'To what: a vantage, a person, an address';
COMMENT ON COLUMN audit.outcome IS 'done; refused; warned: let pass though it should not be so';
COMMENT ON COLUMN audit.reason IS 'Why it was refused, in words';
COMMENT ON COLUMN audit.count IS 'How often it happened from at to last_at';

-- Serves: Store::audit, the newest first, and Store::forget_refusals.
CREATE INDEX audit_refusals ON audit (id) WHERE outcome = 'refused';
