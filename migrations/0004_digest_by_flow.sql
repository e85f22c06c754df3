-- Serves: sql/segments.sql and sql/neighbours.sql, a flow's segments at one vantage around a moment.
CREATE INDEX digest_by_flow ON digest (flow, vantage_id, time_ns);
