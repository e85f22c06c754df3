-- Which flows share an initial number with any other: only of those sql/kin.sql finds more than themselves. $1 flows, $2
-- numbers (two columns of one table), $3 and $4 first and last day. Uses digest_numbers and digest_answers.
SELECT DISTINCT asked.flow
FROM unnest($1::bigint[], $2::bigint[]) AS asked (flow, number)
CROSS JOIN LATERAL (
    (SELECT 1
    FROM digest
    WHERE (day = 0 OR day BETWEEN $3 AND $4) AND seq = asked.number
        AND ((flags & 6) = 2 OR (flags & 4) <> 0 AND seq <> 0) AND seq >= 0 AND digest.flow <> asked.flow
    LIMIT 1)
    UNION ALL
    (SELECT 1
    FROM digest
    WHERE (day = 0 OR day BETWEEN $3 AND $4) AND ack = (asked.number + 1) % 4294967296 AND (flags & 22) = 18 AND ack >= 0
        AND digest.flow <> asked.flow
    LIMIT 1)
) AS other
