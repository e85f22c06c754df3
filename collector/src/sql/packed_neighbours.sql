-- Rows of packed segments of neighbouring flows, near a moment: those that may hold one of the nearest segments to it. $1
-- posts, $2 neighbouring flows, $3 vantages, $4 moments (four columns of one table), $5 nanoseconds before and after the
-- moment, $6 how many segments are kept of all neighbours of a post together, and how many rows of each flow are looked at
-- each way, $7 and $8 first and last day. No row is longer than an hour. Uses packed_by_flow.
SELECT asked, run_id, first_number, segments, octets
FROM (
    -- So far away lie enough segments, counting whole rows.
    SELECT counted.*, min(farthest) FILTER (WHERE held >= $6) OVER (PARTITION BY asked) AS enough
    FROM (
        SELECT measured.*, sum(segments) OVER (PARTITION BY asked ORDER BY farthest ROWS UNBOUNDED PRECEDING) AS held
        FROM (
            SELECT asked.post AS asked, part.run_id, part.first_number, part.segments, part.octets,
                greatest(asked.moment - part.first_ns, part.last_ns - asked.moment) AS farthest,
                greatest(part.first_ns - asked.moment, asked.moment - part.last_ns) AS nearest
            FROM unnest($1::bigint[], $2::bigint[], $3::integer[], $4::bigint[]) AS asked (post, flow, vantage_id, moment)
            CROSS JOIN LATERAL (
                (SELECT run_id, first_number, first_ns, last_ns, segments, octets
                FROM packed
                WHERE (day = 0 OR day BETWEEN $7 AND $8)
                    AND packed.flow = asked.flow AND packed.vantage_id = asked.vantage_id
                    AND first_ns BETWEEN asked.moment - $5::bigint - 3600000000000 AND asked.moment
                    AND last_ns >= asked.moment - $5::bigint
                ORDER BY first_ns DESC
                LIMIT $6::bigint)
                UNION ALL
                (SELECT run_id, first_number, first_ns, last_ns, segments, octets
                FROM packed
                WHERE (day = 0 OR day BETWEEN $7 AND $8)
                    AND packed.flow = asked.flow AND packed.vantage_id = asked.vantage_id
                    AND first_ns > asked.moment AND first_ns <= asked.moment + $5::bigint
                ORDER BY first_ns
                LIMIT $6::bigint)
            ) AS part
        ) AS measured
    ) AS counted
) AS weighed
-- A row whose nearest segment is not nearer than that cannot matter.
WHERE enough IS NULL OR nearest <= enough
