-- Flows that carry the payload of others around the same time: the other side of a proxy, or the same connection met in
-- mid-stream. $1 numbers of the questions, $2 flows (two columns of one table), $3 nanoseconds that clocks and proxies
-- may lie between, $4 how many flows may share a payload. Uses digest_by_flow and digest_payloads.
SELECT DISTINCT asked.n AS asked, carrier.flow
FROM unnest($1::bigint[], $2::bigint[]) AS asked (n, flow)
CROSS JOIN LATERAL (
    SELECT payload_hash, min(time_ns) AS from_ns, max(time_ns) AS until_ns
    FROM (
        SELECT payload_hash, time_ns
        FROM digest
        -- The sum keeps the planner from reading all of digest_payloads beside the flow's few segments.
        WHERE digest.flow = asked.flow AND payload_hash IS NOT NULL AND payload_len + 0 >= 16
        LIMIT 512
    ) AS segment
    GROUP BY payload_hash
    LIMIT 64
) AS own
CROSS JOIN LATERAL (
    SELECT array_agg(DISTINCT near.flow) AS flows
    FROM (
        SELECT digest.flow
        FROM digest
        WHERE digest.payload_hash = own.payload_hash AND payload_len >= 16
            AND time_ns BETWEEN own.from_ns - $3::bigint AND own.until_ns + $3::bigint
        LIMIT 272
    ) AS near
) AS sharing
CROSS JOIN LATERAL unnest(sharing.flows) AS carrier (flow)
WHERE cardinality(sharing.flows) <= $4::integer
