-- Other flows that carry a flow's payload around the same time: the other side of a proxy, or the same connection met in
-- mid-stream. $1 payloads, $2 and $3 from and until, $4 whose (four columns of one table), $5 how many rows of each are looked
-- at, $6 and $7 first and last day. Uses payload_by_hash.
SELECT probe.n AS asked, carrier.flow
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[])
    WITH ORDINALITY AS probe (hash, from_ns, until_ns, flow, n)
CROSS JOIN LATERAL (
    SELECT payload.flow
    FROM payload
    WHERE (day = 0 OR day BETWEEN $6 AND $7)
        AND payload.hash = probe.hash AND time_ns BETWEEN probe.from_ns AND probe.until_ns
        AND payload.flow <> probe.flow
    LIMIT $5::bigint
) AS carrier
