-- People who may ask over HTTP, or change something.
CREATE TABLE person (
    name       text  NOT NULL CONSTRAINT person_pkey PRIMARY KEY,
    role       text  NOT NULL,
    token_hash bytea NOT NULL,
    made_at    timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT person_role_check CHECK (role IN ('viewer', 'operator', 'admin')),
    CONSTRAINT person_hash_check CHECK (octet_length(token_hash) = 32)
);
COMMENT ON TABLE person IS 'Who has a bearer token for the HTTP API and the pages';
COMMENT ON COLUMN person.role IS 'viewer: reads; operator: also changes what agents ship; admin: also people, tokens and the audit';
COMMENT ON COLUMN person.token_hash IS 'SHA-256 of the token''s text; the token itself is kept nowhere';

-- Serves: Store::person, whose token this is.
CREATE INDEX person_by_hash ON person (token_hash);
