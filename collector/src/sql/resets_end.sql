    AND ($13::bigint IS NULL OR (time_ns <= $13 AND (time_ns < $13 OR id > $14::uuid)))
ORDER BY time_ns DESC, id
LIMIT $15) AS passing
ORDER BY time_ns DESC, id
