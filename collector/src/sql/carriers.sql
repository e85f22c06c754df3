-- Flows that carry a payload of others around the same time: the other side of a proxy, or the same connection met in
-- mid-stream. $1 payloads, $2 and $3 from and until (three columns of one table), $4 how many rows of each are looked at, $5
-- and $6 first and last day. Uses payload_by_hash.
SELECT probe.n AS asked, carrier.flow
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) WITH ORDINALITY AS probe (hash, from_ns, until_ns, n)
CROSS JOIN LATERAL (
    SELECT payload.flow
    FROM payload
    WHERE (day = 0 OR day BETWEEN $5 AND $6)
        AND payload.hash = probe.hash AND time_ns BETWEEN probe.from_ns AND probe.until_ns
    LIMIT $4::bigint
) AS carrier
