-- Rows of packed segments of the asked flows at each vantage, around a moment: as many as hold what is used of
-- sql/segments.sql; the reader drops what it has twice. $1 flows, $2 vantages, $3 moments (three columns of one table),
-- $4 and $5 first and last day. Uses packed_by_flow.
SELECT asked.n AS asked, part.*
FROM unnest($1::bigint[], $2::integer[], $3::bigint[]) WITH ORDINALITY AS asked (flow, vantage_id, moment, n)
CROSS JOIN LATERAL (
    -- What led to it, newest first.
    (SELECT run_id, first_number, segments, octets
    FROM (
        SELECT run_id, first_number, segments, octets, sum(segments) OVER (ORDER BY first_ns DESC ROWS UNBOUNDED PRECEDING) - segments AS nearer
        FROM (
            SELECT run_id, first_number, first_ns, segments, octets
            FROM packed
            WHERE (day = 0 OR day BETWEEN $4 AND $5)
                AND packed.flow = asked.flow AND packed.vantage_id = asked.vantage_id AND first_ns <= asked.moment
            ORDER BY first_ns DESC
            LIMIT 3073
        ) AS newest
    ) AS counted
    WHERE nearer < 3073)
    UNION ALL
    -- What came after it.
    (SELECT run_id, first_number, segments, octets
    FROM (
        SELECT run_id, first_number, segments, octets, sum(segments) OVER (ORDER BY first_ns ROWS UNBOUNDED PRECEDING) - segments AS nearer
        FROM (
            SELECT run_id, first_number, first_ns, segments, octets
            FROM packed
            WHERE (day = 0 OR day BETWEEN $4 AND $5)
                AND packed.flow = asked.flow AND packed.vantage_id = asked.vantage_id AND first_ns > asked.moment
            ORDER BY first_ns
            LIMIT 1025
        ) AS next
    ) AS counted
    WHERE nearer < 1025)
    UNION ALL
    -- How it began.
    (SELECT run_id, first_number, segments, octets
    FROM (
        SELECT run_id, first_number, segments, octets, sum(segments) OVER (ORDER BY first_ns ROWS UNBOUNDED PRECEDING) - segments AS earlier
        FROM (
            SELECT run_id, first_number, first_ns, segments, octets
            FROM packed
            WHERE (day = 0 OR day BETWEEN $4 AND $5)
                AND packed.flow = asked.flow AND packed.vantage_id = asked.vantage_id
            ORDER BY first_ns
            LIMIT 16
        ) AS first
    ) AS counted
    WHERE earlier < 16)
) AS part
