-- Spans of one run; one that is known grows. $1 run, $2 vantage, $3 kernel, then a column each: from, until, lost, oath,
-- own interface.
INSERT INTO witness_coverage (run_id, vantage_id, kernel, from_ns, until_ns, lost, oath, own_interface)
SELECT $1, $2, $3, span.from_ns, max(span.until_ns), max(span.lost), min(span.oath), bool_and(span.own_interface)
FROM unnest($4::bigint[], $5::bigint[], $6::bigint[], $7::text[], $8::boolean[])
    AS span (from_ns, until_ns, lost, oath, own_interface)
GROUP BY span.from_ns
ON CONFLICT (run_id, from_ns) DO UPDATE
SET until_ns = greatest(witness_coverage.until_ns, excluded.until_ns),
    lost = greatest(witness_coverage.lost, excluded.lost)
