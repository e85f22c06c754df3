-- Losses, each once. $1 runs, $2 vantages, $3 causes, $4 what was lost, $5 starts, $6 ends, $7 strengths, $8 counts,
-- $9 details.
INSERT INTO loss (run_id, vantage_id, cause, lost, from_ns, until_ns, strength, count, detail)
SELECT * FROM unnest(
    $1::integer[], $2::integer[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::text[], $8::bigint[], $9::text[])
ON CONFLICT ON CONSTRAINT loss_pkey DO NOTHING
