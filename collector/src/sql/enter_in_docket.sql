-- Flows to judge, in the transaction that stores their evidence. $1 flows with a RST among the new digests,
-- $2 other flows: they matter where a reset of theirs is known, or of one that they are kin to, $3 initial sequence
-- numbers among the new digests: they matter where a flow with a reset began with them.
INSERT INTO docket (flow)
SELECT flow
FROM (
    SELECT unnest($1::bigint[]) AS flow
    UNION
    SELECT reset.flow FROM reset WHERE reset.flow = ANY ($2::bigint[])
    UNION
    SELECT reset_kin.flow FROM reset_kin WHERE reset_kin.kin = ANY ($1::bigint[] || $2::bigint[])
    UNION
    SELECT reset_number.flow FROM reset_number WHERE reset_number.number = ANY ($3::bigint[])
) AS touched
-- In one order everywhere, so that two transactions never wait for each other in a circle.
ORDER BY flow
ON CONFLICT (flow) DO UPDATE SET evidence = docket.evidence + 1, touched_at = now()
RETURNING flow
