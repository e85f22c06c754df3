-- Flows that carry a payload of others around the same time: the other side of a proxy, or the same connection met in
-- mid-stream. $1 asked flows, $2 payloads, $3 and $4 from and until (four columns of one table), $5 how many flows may share
-- a payload, $6 and $7 first and last day. Uses payload_by_hash.
SELECT DISTINCT probe.asked, carrier.flow
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[]) AS probe (asked, hash, from_ns, until_ns)
CROSS JOIN LATERAL (
    SELECT array_agg(DISTINCT near.flow) AS flows
    FROM (
        SELECT payload.flow
        FROM payload
        WHERE (day = 0 OR day BETWEEN $6 AND $7)
            AND payload.hash = probe.hash AND time_ns BETWEEN probe.from_ns AND probe.until_ns
        LIMIT 272
    ) AS near
) AS sharing
CROSS JOIN LATERAL unnest(sharing.flows) AS carrier (flow)
WHERE cardinality(sharing.flows) <= $5::integer
