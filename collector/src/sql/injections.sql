-- Places that inject, and those that became quiet within $1 seconds; at most $2, the latest.
SELECT episode, between_a, between_b, cause, example, 0 AS attempts, resets,
    (extract(epoch FROM began_at) * 1e6)::bigint AS began_us,
    (extract(epoch FROM quiet_at) * 1e6)::bigint AS quiet_us
FROM injection
WHERE quiet_at IS NULL OR quiet_at > now() - make_interval(secs => $1)
ORDER BY last_at DESC
LIMIT $2
