-- Flows with a reset in a span of time that a vantage has to do with, in order of time: its coverage of that time came
-- late. $1 vantages, null: any, $2 from, $3 until (three columns of one table). Uses reset_by_time.
WITH concerned AS (
    SELECT reset.flow, max(reset.time_ns) AS newest_ns
    FROM unnest($1::integer[], $2::bigint[], $3::bigint[]) AS watched (vantage_id, from_ns, until_ns)
    JOIN reset ON reset.time_ns BETWEEN watched.from_ns AND watched.until_ns
        AND (watched.vantage_id IS NULL OR reset.vantages IS NULL OR watched.vantage_id = ANY (reset.vantages))
    GROUP BY reset.flow
), entered AS (
    INSERT INTO docket (flow)
    SELECT flow FROM concerned ORDER BY flow
    ON CONFLICT (flow) DO UPDATE SET evidence = docket.evidence + 1, touched_at = now()
    RETURNING flow
)
SELECT flow FROM entered JOIN concerned USING (flow) ORDER BY newest_ns, flow
