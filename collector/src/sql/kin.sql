-- Flows that share an initial sequence number with the asked ones, or with one that does: the same connections under
-- other names, maybe. $1 flows, $2 and $3 first and last day. Uses digest_by_flow, digest_numbers and digest_answers.
WITH RECURSIVE kin (asked, flow) AS (
    SELECT n, asked.flow FROM unnest($1::bigint[]) WITH ORDINALITY AS asked (flow, n)
    UNION
    SELECT kin.asked, related.flow
    FROM kin
    -- The numbers of a flow: of SYN, SYN+ACK and RST, and what a SYN+ACK answers; with the server's end, a RST's own.
    CROSS JOIN LATERAL (
        SELECT DISTINCT numbers.number, opening.server, opening.port
        FROM (
            -- The sums keep the planner from reading the whole of an index of some flags beside the flow's few digests.
            (SELECT seq, ack, (flags & 16) <> 0 AS answers,
                CASE WHEN (flags & 16) <> 0 THEN src ELSE dst END AS server,
                CASE WHEN (flags & 16) <> 0 THEN sport ELSE dport END AS port
            FROM digest
            WHERE (day = 0 OR day BETWEEN $2 AND $3) AND digest.flow = kin.flow AND (flags & 6) + 0 = 2
            LIMIT 256)
            UNION ALL
            (SELECT seq, ack, false, src, sport
            FROM digest
            WHERE (day = 0 OR day BETWEEN $2 AND $3) AND digest.flow = kin.flow AND (flags & 4) + 0 <> 0 AND seq <> 0
            LIMIT 256)
        ) AS opening
        CROSS JOIN LATERAL (
            SELECT opening.seq AS number
            UNION
            SELECT (opening.ack + 4294967295) % 4294967296 WHERE opening.answers
        ) AS numbers
    ) AS own
    -- Who shares one. A scanner uses one number for many connections: those to the same end come first.
    CROSS JOIN LATERAL (
        SELECT found.flow
        FROM (
            (SELECT digest.flow,
                CASE WHEN (flags & 20) <> 0 THEN src = own.server AND sport = own.port
                    ELSE dst = own.server AND dport = own.port END AS same
            FROM digest
            WHERE (day = 0 OR day BETWEEN $2 AND $3) AND seq = own.number
                AND ((flags & 6) = 2 OR (flags & 4) <> 0 AND seq <> 0) AND seq >= 0
            LIMIT 4096)
            UNION
            (SELECT digest.flow, src = own.server AND sport = own.port
            FROM digest
            WHERE (day = 0 OR day BETWEEN $2 AND $3) AND ack = (own.number + 1) % 4294967296 AND (flags & 22) = 18 AND ack >= 0
            LIMIT 2048)
        ) AS found
        ORDER BY found.same DESC, found.flow
        LIMIT 64
    ) AS related
)
SELECT asked, flow FROM kin
