-- Other flows that carry a flow's payload around the same time: the other side of a proxy, or the same connection met in
-- mid-stream. $1 payloads, $2 and $3 from and until within one slice of time, $4 whose, $5 slice and payload as in the index
-- (five columns of one table), $6 how many rows of each are looked at, $7 and $8 first and last day. Uses payload_by_slice.
SELECT probe.n AS asked, carrier.flow
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[])
    WITH ORDINALITY AS probe (hash, from_ns, until_ns, flow, key, n)
CROSS JOIN LATERAL (
    SELECT payload.flow
    FROM payload
    WHERE (day = 0 OR day BETWEEN $7 AND $8)
        AND ((time_ns >> 39 << 56) | (payload.hash >> 8 & 72057594037927935)) = probe.key
        AND time_ns BETWEEN probe.from_ns AND probe.until_ns
        AND payload.hash = probe.hash AND payload.flow <> probe.flow
    LIMIT $6::bigint
) AS carrier
