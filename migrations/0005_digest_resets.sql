-- Serves: sql/sightings.sql, the RSTs of a flow at all vantages, joined by direction and sequence number.
CREATE INDEX digest_resets ON digest (flow, seq, time_ns) WHERE (flags & 4) <> 0;
