-- What the kernel said of the asked flows at each vantage. $1 flows, $2 vantages, $3 moments (three columns of one
-- table). Uses testimony_pkey.
SELECT asked.n AS asked, said.*
FROM unnest($1::bigint[], $2::integer[], $3::bigint[]) WITH ORDINALITY AS asked (flow, vantage_id, moment, n)
CROSS JOIN LATERAL (
    SELECT run_id, number, time_ns, error_ns, src, dst, sport, dport, act, reason
    FROM testimony
    WHERE testimony.flow = asked.flow AND testimony.vantage_id = asked.vantage_id
    -- Nearest to the reset.
    ORDER BY abs(time_ns - asked.moment)
    LIMIT 4096
) AS said
ORDER BY asked.n, said.time_ns, said.number
