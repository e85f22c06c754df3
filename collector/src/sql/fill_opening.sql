-- Numbers of digests that were stored while nothing was distributed: as collector/src/store/openings.rs writes them.
INSERT INTO opening (number, time_ns, flow, server, port, day)
SELECT number, time_ns, flow, server, port, day
FROM (
    SELECT seq AS number, time_ns, flow, day,
        CASE WHEN (flags & 16) <> 0 THEN src ELSE dst END AS server,
        CASE WHEN (flags & 16) <> 0 THEN sport ELSE dport END AS port
    FROM digest WHERE (flags & 6) = 2
    UNION ALL
    SELECT (ack + 4294967295) % 4294967296, time_ns, flow, day, src, sport FROM digest WHERE (flags & 22) = 18
    UNION ALL
    SELECT seq, time_ns, flow, day, src, sport FROM digest WHERE (flags & 4) <> 0 AND seq <> 0
) AS born
WHERE NOT EXISTS (SELECT FROM opening LIMIT 1)
