-- Each asked vantage's clock by exchange, nearest to a moment. $1 vantages, $2 moments (two columns of one table). Uses
-- clock_exchange_by_vantage.
SELECT asked.n AS asked, nearest.at_ns, nearest.offset_ns, nearest.error_ns
FROM unnest($1::integer[], $2::bigint[]) WITH ORDINALITY AS asked (vantage_id, moment, n)
CROSS JOIN LATERAL (
    SELECT at_ns, offset_ns, error_ns
    FROM (
        (SELECT at_ns, offset_ns, error_ns FROM clock_exchange
        WHERE clock_exchange.vantage_id = asked.vantage_id AND at_ns <= asked.moment
        ORDER BY at_ns DESC LIMIT 1)
        UNION ALL
        (SELECT at_ns, offset_ns, error_ns FROM clock_exchange
        WHERE clock_exchange.vantage_id = asked.vantage_id AND at_ns > asked.moment
        ORDER BY at_ns LIMIT 1)
    ) AS candidate
    ORDER BY abs(at_ns - asked.moment)
    LIMIT 1
) AS nearest
