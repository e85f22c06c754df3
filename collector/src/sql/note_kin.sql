-- What judged flows have to do with others. $1 judged flows, $2 their kin (two columns of one table). A relation that is
-- new is evidence for the kin too: where it has resets it is judged again.
WITH fresh AS (
    INSERT INTO reset_kin (flow, kin)
    SELECT DISTINCT flow, kin FROM unnest($1::bigint[], $2::bigint[]) AS related (flow, kin) ORDER BY flow, kin
    ON CONFLICT DO NOTHING
    RETURNING kin
)
INSERT INTO docket (flow)
SELECT DISTINCT fresh.kin FROM fresh
WHERE EXISTS (SELECT FROM digest WHERE digest.flow = fresh.kin AND (flags & 4) + 0 <> 0)
ORDER BY fresh.kin
ON CONFLICT (flow) DO UPDATE SET evidence = docket.evidence + 1, touched_at = now()
RETURNING flow
