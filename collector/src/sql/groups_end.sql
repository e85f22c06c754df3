    GROUP BY 1, 2, 3, 4
), by_port AS (
    SELECT a, b, port, sum(resets) AS resets, count(*) AS connections, min(first_ns) AS first_ns, max(last_ns) AS last_ns
    FROM by_flow
    GROUP BY a, b, port
)
SELECT a, b, sum(resets)::bigint AS resets, sum(connections)::bigint AS connections,
    min(first_ns) AS first_ns, max(last_ns) AS last_ns,
    (array_agg(port ORDER BY resets DESC, port))[1] AS port, count(*) AS ports
FROM by_port
GROUP BY a, b
ORDER BY resets DESC, last_ns DESC
LIMIT $13
