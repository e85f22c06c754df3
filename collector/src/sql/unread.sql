-- Packets that could not be digested, by vantage and reason.
SELECT run.vantage_id, unread.reason, sum(unread.count)::bigint
FROM unread JOIN run ON run.id = unread.run_id
GROUP BY run.vantage_id, unread.reason
ORDER BY run.vantage_id, sum(unread.count) DESC, unread.reason
