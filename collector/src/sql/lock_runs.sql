-- Takes the watermarks of runs. In order of id, so that two transactions never wait for each other in a circle.
SELECT id, vantage_id, committed, coverage_from_ns, coverage_until_ns, coverage_dropped, coverage_epoch
FROM run
WHERE id = ANY ($1)
ORDER BY id
FOR UPDATE
