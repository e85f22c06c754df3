-- Flows with a reset in a span of time: coverage of that time came late. $1 from, $2 until. Uses reset_by_time.
INSERT INTO docket (flow)
SELECT DISTINCT flow FROM reset WHERE time_ns BETWEEN $1 AND $2 ORDER BY flow
ON CONFLICT (flow) DO UPDATE SET evidence = docket.evidence + 1, touched_at = now()
RETURNING flow
