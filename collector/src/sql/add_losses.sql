-- Losses, each once: one that is told again may have grown meanwhile. $1 runs, $2 vantages, $3 causes, $4 what was
-- lost, $5 starts, $6 ends, $7 strengths, $8 counts, $9 details.
INSERT INTO loss (run_id, vantage_id, cause, lost, from_ns, until_ns, strength, count, detail)
SELECT DISTINCT ON (run_id, cause, lost, from_ns) *
FROM unnest(
    $1::integer[], $2::integer[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::text[], $8::bigint[], $9::text[])
    AS told (run_id, vantage_id, cause, lost, from_ns, until_ns, strength, count, detail)
ORDER BY run_id, cause, lost, from_ns, until_ns DESC NULLS FIRST, count DESC NULLS FIRST
ON CONFLICT ON CONSTRAINT loss_pkey DO UPDATE
SET until_ns = CASE WHEN loss.until_ns IS NULL OR excluded.until_ns IS NULL THEN NULL
        ELSE GREATEST(loss.until_ns, excluded.until_ns) END,
    count = GREATEST(loss.count, excluded.count)
