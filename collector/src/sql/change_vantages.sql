-- Vantages that have to do with known resets. $1 flows, $2 identities, $3 vantages as the text of an array; null: all.
UPDATE reset
SET vantages = found.vantages::integer[]
FROM unnest($1::bigint[], $2::bigint[], $3::text[]) AS found (flow, identity, vantages)
WHERE reset.flow = found.flow AND reset.identity = found.identity
