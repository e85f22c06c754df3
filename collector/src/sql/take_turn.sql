-- Takes the turn to tell a sink ($1) everything, for $2 seconds: when it is due, or at once when a place began to inject or
-- became quiet since. A transaction's time is its beginning, so what is younger than it looks by two seconds counts too.
UPDATE sink
SET until = now() + make_interval(secs => $2), taken_at = now()
WHERE sink = $1 AND (until IS NULL OR until < now())
    AND (due_at <= now() OR failures = 0 AND EXISTS (
        SELECT FROM injection WHERE GREATEST(began_at, quiet_at) > sink.told_at - interval '2 s'
    ))
RETURNING failures
