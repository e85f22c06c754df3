-- Moves watermarks and sums. $1 runs, $2 watermarks, $3 packets and $4 losses to add, $5 to $7 latest coverage row,
-- $8 whether the agent said goodbye, $9 its clock's epoch.
UPDATE run
SET committed = moved.committed,
    received = run.received + moved.received,
    dropped = run.dropped + moved.dropped,
    first_ns = COALESCE(run.first_ns, moved.first_ns),
    last_ns = COALESCE(moved.until_ns, run.last_ns),
    coverage_from_ns = moved.from_ns,
    coverage_until_ns = moved.until_ns,
    coverage_dropped = moved.lost,
    coverage_epoch = moved.epoch,
    finished_at = CASE WHEN moved.finished THEN now() ELSE run.finished_at END
FROM (
    SELECT id, committed, received, dropped, from_ns, until_ns, lost, finished, epoch,
        -- The first span of all is the run's start; it may be joined or followed by others within this very commit.
        (SELECT min(coverage.from_ns) FROM coverage WHERE coverage.run_id = id) AS first_ns
    FROM unnest($1::integer[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::boolean[], $9::bigint[])
        AS advance (id, committed, received, dropped, from_ns, until_ns, lost, finished, epoch)
) AS moved
WHERE run.id = moved.id
