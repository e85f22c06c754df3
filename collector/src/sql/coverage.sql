-- What each asked vantage watched, around a moment. $1 vantages, $2 moments (two columns of one table).
-- Spans without loss are few and long, so the limits bite only on a vantage that loses all the time.
-- Uses coverage_by_vantage.
SELECT asked.n AS asked, span.run_id, span.from_ns, span.until_ns, span.received, span.dropped, run.selection, run.sample_one_in
FROM unnest($1::integer[], $2::bigint[]) WITH ORDINALITY AS asked (vantage_id, moment, n)
CROSS JOIN LATERAL (
    (SELECT run_id, from_ns, until_ns, received, dropped
    FROM coverage
    WHERE coverage.vantage_id = asked.vantage_id AND from_ns <= asked.moment
    ORDER BY from_ns DESC
    LIMIT 512)
    UNION ALL
    (SELECT run_id, from_ns, until_ns, received, dropped
    FROM coverage
    WHERE coverage.vantage_id = asked.vantage_id AND from_ns > asked.moment
    ORDER BY from_ns
    LIMIT 512)
) AS span
JOIN run ON run.id = span.run_id
ORDER BY asked.n, span.from_ns, span.until_ns
