-- The numbers of a flow, as in sql/kin.sql, of which this is the first half: of SYN, SYN+ACK and RST, and what a SYN+ACK
-- answers; with the server's end, a RST's own. $1 flow, $2 and $3 first and last day. Uses digest_by_flow.
SELECT DISTINCT numbers.number, opening.server, opening.port
FROM (
    (SELECT seq, ack, (flags & 16) <> 0 AS answers,
        CASE WHEN (flags & 16) <> 0 THEN src ELSE dst END AS server,
        CASE WHEN (flags & 16) <> 0 THEN sport ELSE dport END AS port
    FROM digest
    WHERE (day = 0 OR day BETWEEN $2 AND $3) AND digest.flow = $1 AND (flags & 6) + 0 = 2
    LIMIT 256)
    UNION ALL
    (SELECT seq, ack, false, src, sport
    FROM digest
    WHERE (day = 0 OR day BETWEEN $2 AND $3) AND digest.flow = $1 AND (flags & 4) + 0 <> 0 AND seq <> 0
    LIMIT 256)
) AS opening
CROSS JOIN LATERAL (
    SELECT opening.seq AS number
    UNION
    SELECT (opening.ack + 4294967295) % 4294967296 WHERE opening.answers
) AS numbers
