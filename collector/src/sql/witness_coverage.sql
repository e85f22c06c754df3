-- Where kernel witnesses listened, around a moment. $1 vantages, $2 moments (two columns of one table).
-- Uses witness_coverage_by_vantage.
SELECT asked.n AS asked, span.*
FROM unnest($1::integer[], $2::bigint[]) WITH ORDINALITY AS asked (vantage_id, moment, n)
CROSS JOIN LATERAL (
    (SELECT run_id, from_ns, until_ns, lost, oath, own_interface
    FROM witness_coverage
    WHERE witness_coverage.vantage_id = asked.vantage_id AND from_ns <= asked.moment
    ORDER BY from_ns DESC
    LIMIT 256)
    UNION ALL
    (SELECT run_id, from_ns, until_ns, lost, oath, own_interface
    FROM witness_coverage
    WHERE witness_coverage.vantage_id = asked.vantage_id AND from_ns > asked.moment
    ORDER BY from_ns
    LIMIT 256)
) AS span
ORDER BY asked.n, span.from_ns, span.until_ns
