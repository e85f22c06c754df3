-- From when to when rows of packed segments of neighbouring flows reach, of those that begin in stretches of time, what is
-- nearest to one end. $1 flows, $2 vantages, $3 after which moment, $4 up to which, $5 whether counted from the late end
-- (five columns of one table), $6 how long before the late end, nanoseconds, those that are counted from it may have ended,
-- $7 how many rows are kept of each, $8 and $9 first and last day. Uses packed_by_flow.
SELECT asked.n AS asked, found.*
FROM unnest($1::bigint[], $2::integer[], $3::bigint[], $4::bigint[], $5::boolean[])
    WITH ORDINALITY AS asked (flow, vantage_id, after_ns, until_ns, backwards, n)
CROSS JOIN LATERAL (
    (SELECT run_id, first_number, first_ns, last_ns, segments
    FROM packed
    WHERE (day = 0 OR day BETWEEN $8 AND $9) AND NOT asked.backwards AND packed.flow = asked.flow
        AND packed.vantage_id = asked.vantage_id AND first_ns > asked.after_ns AND first_ns <= asked.until_ns
    ORDER BY first_ns
    LIMIT $7::bigint)
    UNION ALL
    (SELECT run_id, first_number, first_ns, last_ns, segments
    FROM packed
    WHERE (day = 0 OR day BETWEEN $8 AND $9) AND asked.backwards AND packed.flow = asked.flow
        AND packed.vantage_id = asked.vantage_id AND first_ns > asked.after_ns AND first_ns <= asked.until_ns
        AND last_ns >= asked.until_ns - $6::bigint
    ORDER BY first_ns DESC
    LIMIT $7::bigint)
) AS found
