-- What every vantage lost, by cause: all of its runs; of standing ones only those of the newest run.
SELECT loss.vantage_id, loss.strength, loss.cause, loss.lost, count(*) AS times,
    sum(loss.count)::bigint AS count, min(loss.from_ns) AS first_ns,
    CASE WHEN bool_or(loss.until_ns IS NULL) THEN NULL ELSE max(loss.until_ns) END AS last_ns, max(loss.detail) AS detail
FROM loss
WHERE loss.until_ns IS NOT NULL
    OR loss.run_id = (SELECT max(run.id) FROM run WHERE run.vantage_id = loss.vantage_id)
GROUP BY loss.vantage_id, loss.strength, loss.cause, loss.lost
ORDER BY loss.vantage_id, loss.strength, loss.cause, loss.lost
