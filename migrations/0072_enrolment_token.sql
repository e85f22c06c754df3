-- Tokens against which an agent gets its first certificate, each good once.
CREATE TABLE enrolment_token (
    hash       bytea  NOT NULL CONSTRAINT enrolment_token_pkey PRIMARY KEY,
    vantages   text[] NOT NULL,
    made_by    text   NOT NULL,
    made_at    timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    used_at    timestamptz,
    CONSTRAINT enrolment_token_hash_check CHECK (octet_length(hash) = 32),
    CONSTRAINT enrolment_token_vantages_check CHECK (cardinality(vantages) > 0)
);
COMMENT ON TABLE enrolment_token IS 'One-time tokens for enrolment; kept until a month after their end';
COMMENT ON COLUMN enrolment_token.hash IS 'SHA-256 of the token''s secret; the secret itself is kept nowhere';
COMMENT ON COLUMN enrolment_token.vantages IS 'Whom the certificate will name; * stands for every vantage';
COMMENT ON COLUMN enrolment_token.made_by IS 'As audit.who';
COMMENT ON COLUMN enrolment_token.used_at IS 'When it was used; null: not yet';
