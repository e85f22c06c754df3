-- Rows of packed segments of neighbouring flows, near a moment. $1 posts, $2 neighbouring flows, $3 vantages, $4 moments
-- (four columns of one table), $5 nanoseconds before and after the moment, $6 how many rows each way: no more segments than
-- rows are kept, $7 and $8 first and last day. No row is longer than an hour. Uses packed_by_flow.
SELECT asked.post AS asked, part.*
FROM unnest($1::bigint[], $2::bigint[], $3::integer[], $4::bigint[]) AS asked (post, flow, vantage_id, moment)
CROSS JOIN LATERAL (
    (SELECT run_id, first_number, segments, octets
    FROM packed
    WHERE (day = 0 OR day BETWEEN $7 AND $8)
        AND packed.flow = asked.flow AND packed.vantage_id = asked.vantage_id
        AND first_ns BETWEEN asked.moment - $5::bigint - 3600000000000 AND asked.moment
        AND last_ns >= asked.moment - $5::bigint
    ORDER BY first_ns DESC
    LIMIT $6::bigint)
    UNION ALL
    (SELECT run_id, first_number, segments, octets
    FROM packed
    WHERE (day = 0 OR day BETWEEN $7 AND $8)
        AND packed.flow = asked.flow AND packed.vantage_id = asked.vantage_id
        AND first_ns > asked.moment AND first_ns <= asked.moment + $5::bigint
    ORDER BY first_ns
    LIMIT $6::bigint)
) AS part
