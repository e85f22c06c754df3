-- What the kernel said under the asked names at each vantage. $1 flows, $2 vantages, $3 moments, $4 how far from them
-- (four columns of one table). Uses testimony_by_flow.
SELECT asked.n AS asked, said.*
FROM unnest($1::bigint[], $2::integer[], $3::bigint[], $4::bigint[])
    WITH ORDINALITY AS asked (flow, vantage_id, moment, reach, n)
CROSS JOIN LATERAL (
    (SELECT run_id, number, time_ns, error_ns, src, dst, sport, dport, act, reason
    FROM testimony
    WHERE testimony.flow = asked.flow AND testimony.vantage_id = asked.vantage_id
        AND time_ns BETWEEN asked.moment - asked.reach AND asked.moment
    ORDER BY time_ns DESC
    LIMIT 2048)
    UNION ALL
    (SELECT run_id, number, time_ns, error_ns, src, dst, sport, dport, act, reason
    FROM testimony
    WHERE testimony.flow = asked.flow AND testimony.vantage_id = asked.vantage_id
        AND time_ns > asked.moment AND time_ns <= asked.moment + asked.reach
    ORDER BY time_ns
    LIMIT 2048)
) AS said
ORDER BY asked.n, said.time_ns, said.number
