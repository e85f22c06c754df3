-- The join: every reset of the asked flows, recognised at each vantage by 4-tuple and sequence number; and the SYN and
-- SYN+ACK with which they began. $1 flows. One row per flow, direction, sequence number and vantage, how often it was
-- seen; and one per opening segment, with what a SYN+ACK answers. Bounded: a flood of RSTs on one flow must not stop the
-- judge. Uses digest_by_flow.
SELECT asked.n AS asked, sighting.*
FROM unnest($1::bigint[]) WITH ORDINALITY AS asked (flow, n)
CROSS JOIN LATERAL (
    (SELECT rst.src, rst.sport, rst.dst, rst.dport, rst.seq, rst.vantage_id,
        min(rst.time_ns) AS first_ns, max(rst.time_ns) AS last_ns, count(*) AS times, false AS opens, NULL::bigint AS ack
    FROM (
        SELECT src, sport, dst, dport, seq, vantage_id, time_ns
        FROM digest
        WHERE digest.flow = asked.flow AND (flags & 4) + 0 <> 0
        LIMIT 16384
    ) AS rst
    GROUP BY rst.src, rst.sport, rst.dst, rst.dport, rst.seq, rst.vantage_id)
    UNION ALL
    -- One more than sql/kin.sql reads: it tells that there are more.
    (SELECT src, sport, dst, dport, seq, vantage_id, time_ns, time_ns, 1, true, CASE WHEN (flags & 16) <> 0 THEN ack END
    FROM digest
    WHERE digest.flow = asked.flow AND (flags & 6) + 0 = 2
    LIMIT 257)
) AS sighting
