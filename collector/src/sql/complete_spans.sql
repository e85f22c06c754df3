-- Spans in which every recorded segment of a flow is stored although the run ships a part only: by recall, or because it
-- shipped everything then. $1 flows, $2 vantages (two columns of one table).
SELECT asked.n AS asked, span.from_ns, span.until_ns
FROM unnest($1::bigint[], $2::integer[]) WITH ORDINALITY AS asked (flow, vantage_id, n)
CROSS JOIN LATERAL (
    SELECT from_ns, until_ns
    FROM recall
    WHERE recall.flow = asked.flow AND recall.vantage_id = asked.vantage_id AND recall.complete
    UNION ALL
    SELECT from_ns, until_ns
    FROM (
        SELECT change.selection, GREATEST(change.from_ns, run.first_ns) AS from_ns,
            LEAST(run.last_ns, lead(change.from_ns - 1) OVER (PARTITION BY change.run_id ORDER BY change.from_ns))
                AS until_ns
        FROM selection_change AS change JOIN run ON run.id = change.run_id
        WHERE change.vantage_id = asked.vantage_id
    ) AS shipped
    WHERE selection = 'all' AND from_ns <= until_ns
) AS span
