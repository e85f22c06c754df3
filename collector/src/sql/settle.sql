-- Strikes flows out of the docket and marks their resets settled; marks those of flows that are open again. Counts the
-- verdicts that settled and had not settled before as they are. $1 flows to settle, $2 the docket's count of evidence when
-- theirs was gathered, $3 open flows.
WITH struck AS (
    -- Evidence that came since then has raised the count: such a flow stays.
    DELETE FROM docket
    USING unnest($1::bigint[], $2::bigint[]) AS judged (flow, evidence)
    WHERE docket.flow = judged.flow AND docket.evidence = judged.evidence
    RETURNING docket.flow
), turned AS (
    UPDATE reset
    SET settled = NOT settled,
        told_at = CASE WHEN settled THEN told_at ELSE COALESCE(told_at, now()) END
    WHERE (NOT settled AND flow IN (SELECT flow FROM struck))
        -- It was in no docket.
        OR (NOT settled AND flow IN (
            SELECT flow FROM unnest($1::bigint[], $2::bigint[]) AS judged (flow, evidence) WHERE evidence IS NULL
        ))
        OR (settled AND flow = ANY ($3::bigint[]))
    -- now() is the transaction's: what was told before has another time.
    RETURNING settled AND told_at = now() AS fresh, origin, cause, between_a, between_b, emitted_at, id, time_ns
)
SELECT origin, cause, between_a, between_b, emitted_at, count(*) AS resets,
    (array_agg(id ORDER BY time_ns, id))[1] AS example,
    -- What is older than an hour comes from a file, or from an agent that was away: nothing begins now.
    count(*) FILTER (WHERE time_ns > (extract(epoch FROM now() - interval '1 hour') * 1e9)::bigint) AS recent
FROM turned
WHERE fresh
GROUP BY origin, cause, between_a, between_b, emitted_at
