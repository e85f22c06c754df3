-- Takes flows to judge that nobody else judges; tells of each that is in the docket whether it was taken. $1 flows, $2 the
-- collector, $3 seconds until a dead one's flows are free again.
WITH free AS (
    SELECT flow
    FROM docket
    WHERE flow = ANY ($1) AND (judge IS NULL OR judge = $2 OR until < now())
    ORDER BY flow
    FOR UPDATE SKIP LOCKED
), taken AS (
    UPDATE docket
    SET judge = $2, until = now() + make_interval(secs => $3)
    FROM free
    WHERE docket.flow = free.flow
    RETURNING docket.flow
)
SELECT docket.flow, taken.flow IS NOT NULL
FROM docket LEFT JOIN taken ON taken.flow = docket.flow
WHERE docket.flow = ANY ($1)
