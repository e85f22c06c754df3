-- The newest losses of a time, newest first. $1 from and $2 until (null: open), $3 vantage (null: all), $4 how many.
SELECT vantage.name, 0::bigint AS asked, loss.run_id, loss.cause, loss.lost, loss.strength, loss.from_ns, loss.until_ns,
    loss.count, loss.detail
FROM loss JOIN vantage ON vantage.id = loss.vantage_id
WHERE ($1::bigint IS NULL OR COALESCE(loss.until_ns, $1) >= $1)
    AND ($2::bigint IS NULL OR loss.from_ns <= $2)
    AND ($3::text IS NULL OR vantage.name = $3)
ORDER BY loss.from_ns DESC, vantage.name, loss.cause, loss.lost
LIMIT $4
