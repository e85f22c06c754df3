-- Resets that a judgement of the whole flow does not contain any more. $1 flows, $2 identities.
DELETE FROM reset
USING unnest($1::bigint[], $2::bigint[]) AS vanished (flow, identity)
WHERE reset.flow = vanished.flow AND reset.identity = vanished.identity
