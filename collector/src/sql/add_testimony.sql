-- Statements of one run; those that came before are left out. $1 run, $2 vantage, then a column each: numbers, flows,
-- times, errors, sources, destinations, their ports, acts, reasons.
INSERT INTO testimony (run_id, vantage_id, number, flow, time_ns, error_ns, src, dst, sport, dport, act, reason)
SELECT $1, $2, said.*
FROM unnest(
    $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::inet[], $8::inet[], $9::integer[], $10::integer[],
    $11::smallint[], $12::text[]
) AS said
ON CONFLICT DO NOTHING
