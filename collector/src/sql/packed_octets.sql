-- Rows of packed segments that are known by name. $1 flows, $2 vantages, $3 when they begin, $4 runs, $5 first numbers
-- (five columns of one table), $6 and $7 first and last day. Uses packed_by_flow.
SELECT asked.n AS asked, part.*
FROM unnest($1::bigint[], $2::integer[], $3::bigint[], $4::integer[], $5::bigint[])
    WITH ORDINALITY AS asked (flow, vantage_id, first_ns, run_id, first_number, n)
CROSS JOIN LATERAL (
    SELECT run_id, first_number, segments, octets
    FROM packed
    WHERE (day = 0 OR day BETWEEN $6 AND $7) AND packed.flow = asked.flow
        AND packed.vantage_id = asked.vantage_id AND packed.first_ns = asked.first_ns
        AND packed.run_id = asked.run_id AND packed.first_number = asked.first_number
    LIMIT 1
) AS part
