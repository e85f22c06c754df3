-- Takes notices of a sink ($1) that are due, for $2 seconds, at most $3.
WITH due AS (
    SELECT episode
    FROM notice
    WHERE sink = $1 AND ended_at IS NULL AND due_at <= now() AND (until IS NULL OR until < now())
    ORDER BY entered_at
    LIMIT $3
    FOR UPDATE SKIP LOCKED
), taken AS (
    UPDATE notice
    SET until = now() + make_interval(secs => $2), attempts = attempts + 1
    FROM due
    WHERE notice.sink = $1 AND notice.episode = due.episode
    RETURNING notice.*
)
SELECT taken.episode, taken.between_a, taken.between_b, taken.cause, taken.example, taken.attempts,
    COALESCE(injection.resets, taken.resets) AS resets,
    (extract(epoch FROM taken.began_at) * 1e6)::bigint AS began_us,
    NULL::bigint AS quiet_us
FROM taken LEFT JOIN injection ON injection.episode = taken.episode
ORDER BY taken.entered_at
