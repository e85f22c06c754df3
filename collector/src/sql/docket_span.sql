-- Flows with a reset in a span of time, in order of time: coverage of that time came late. $1 from, $2 until. Uses
-- reset_by_time.
WITH concerned AS (
    SELECT flow, max(time_ns) AS newest_ns FROM reset WHERE time_ns BETWEEN $1 AND $2 GROUP BY flow
), entered AS (
    INSERT INTO docket (flow)
    SELECT flow FROM concerned ORDER BY flow
    ON CONFLICT (flow) DO UPDATE SET evidence = docket.evidence + 1, touched_at = now()
    RETURNING flow
)
SELECT flow FROM entered JOIN concerned USING (flow) ORDER BY newest_ns, flow
