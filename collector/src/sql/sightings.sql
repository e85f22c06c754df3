-- The join: every reset of the asked flows, recognised at each vantage by 4-tuple and sequence number.
-- $1 flows. One row per flow, direction, sequence number and vantage.
SELECT asked.n AS asked, sighting.*
FROM unnest($1::bigint[]) WITH ORDINALITY AS asked (flow, n)
CROSS JOIN LATERAL (
    SELECT rst.src, rst.sport, rst.dst, rst.dport, rst.seq, rst.vantage_id,
        min(rst.time_ns) AS first_ns, max(rst.time_ns) AS last_ns
    FROM (
        -- Bounded: a flood of RSTs on one flow must not stop the judge. Uses digest_by_flow.
        SELECT src, sport, dst, dport, seq, vantage_id, time_ns
        FROM digest
        WHERE digest.flow = asked.flow AND (flags & 4) + 0 <> 0
        LIMIT 16384
    ) AS rst
    GROUP BY rst.src, rst.sport, rst.dst, rst.dport, rst.seq, rst.vantage_id
) AS sighting
