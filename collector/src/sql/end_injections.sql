-- Ends the episodes of places that have been quiet for $1 seconds. Rows that a judgement holds are not quiet.
WITH quiet AS (
    SELECT between_a, between_b
    FROM injection
    WHERE quiet_at IS NULL AND last_at < now() - make_interval(secs => $1)
    ORDER BY between_a, between_b
    FOR UPDATE SKIP LOCKED
)
UPDATE injection
SET quiet_at = now()
FROM quiet
WHERE injection.between_a = quiet.between_a AND injection.between_b = quiet.between_b
