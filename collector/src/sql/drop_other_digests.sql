-- What is old of digests without a day of their own. $1 days that are kept. Uses digest_other_by_time.
DELETE FROM digest
WHERE day = 0 AND time_ns < ((extract(epoch FROM now()) - $1::integer * 86400) * 1000000000)::bigint
    AND NOT EXISTS (SELECT FROM run WHERE run.id = digest.run_id
        AND COALESCE(finished_at, connected_at) >= now() - make_interval(days => $1::integer))
