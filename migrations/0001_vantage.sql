-- Capture points, in the order in which they first registered: that order breaks ties.
CREATE TABLE vantage (
    id        integer GENERATED ALWAYS AS IDENTITY CONSTRAINT vantage_pkey PRIMARY KEY,
    name      text   NOT NULL,
    kind      text   NOT NULL,
    addresses inet[] NOT NULL,
    CONSTRAINT vantage_name_key UNIQUE (name),
    CONSTRAINT vantage_kind_check CHECK (kind IN ('host', 'hop')),
    CONSTRAINT vantage_addresses_check CHECK ((kind = 'host') = (cardinality(addresses) > 0))
);
COMMENT ON TABLE vantage IS 'Named capture points';
COMMENT ON COLUMN vantage.id IS 'Rises in the order of first registration';
COMMENT ON COLUMN vantage.kind IS 'host: runs on an endpoint; hop: only sees traffic pass';
COMMENT ON COLUMN vantage.addresses IS 'Addresses of the endpoint that a host vantage runs on; empty for a hop';
