-- What each asked vantage lost around a moment. $1 vantages, $2 moments (two columns of one table), $3 how far
-- around, nanoseconds. A standing loss counts while its run watched. Uses loss_by_vantage.
SELECT asked.n AS asked, lost.run_id, lost.cause, lost.lost, lost.strength, lost.from_ns, lost.until_ns, lost.count, lost.detail
FROM unnest($1::integer[], $2::bigint[]) WITH ORDINALITY AS asked (vantage_id, moment, n)
CROSS JOIN LATERAL (
    SELECT loss.*
    FROM loss JOIN run ON run.id = loss.run_id
    WHERE loss.vantage_id = asked.vantage_id
        AND loss.from_ns <= asked.moment + $3
        AND COALESCE(loss.until_ns, run.last_ns, loss.from_ns) >= asked.moment - $3
    ORDER BY loss.from_ns DESC
    LIMIT 512
) AS lost
ORDER BY asked.n, lost.from_ns, lost.cause, lost.lost
