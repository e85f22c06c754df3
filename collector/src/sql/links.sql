-- What happened at each vantage and between vantages in a span, whichever way it went. $1 since, $2 until. Of two vantages
-- the empty one stands for "beyond the outermost".
SELECT what, NULLIF(least(one, other), '') AS a, NULLIF(greatest(one, other), '') AS b, count(*) AS resets,
    max(time_ns) AS last_ns
FROM reset
CROSS JOIN LATERAL (
    SELECT 'injected' AS what, coalesce(between_a, '') AS one, coalesce(between_b, '') AS other
    WHERE origin = 'middlebox'
    UNION ALL
    SELECT 'open', coalesce(between_a, ''), coalesce(between_b, '') WHERE origin = 'undetermined'
    UNION ALL
    SELECT 'emitted', emitted_at, emitted_at WHERE emitted_at IS NOT NULL
    UNION ALL
    SELECT 'lost', coalesce(lost_a, ''), coalesce(lost_b, '') WHERE lost_a IS NOT NULL OR lost_b IS NOT NULL
) AS happened
WHERE ($1::bigint IS NULL OR time_ns >= $1) AND ($2::bigint IS NULL OR time_ns <= $2)
GROUP BY 1, 2, 3
ORDER BY resets DESC, 1, 2, 3
