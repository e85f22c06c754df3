-- What is old of digests without a day of their own. $1 days that are kept. Uses digest_other_by_time.
DELETE FROM digest
WHERE day = 0 AND time_ns < (extract(epoch FROM current_date - $1::integer) * 1000000000)::bigint
    AND NOT EXISTS (SELECT FROM run WHERE run.id = digest.run_id AND COALESCE(finished_at, connected_at) >= current_date - $1::integer)
