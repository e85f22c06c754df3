-- What is old of packed segments without a day of their own. $1 days that are kept. Uses packed_other_by_time.
DELETE FROM packed
WHERE day = 0 AND last_ns < ((extract(epoch FROM now()) - $1::integer * 86400) * 1000000000)::bigint
    AND NOT EXISTS (SELECT FROM run WHERE run.id = packed.run_id
        AND COALESCE(finished_at, connected_at) >= now() - make_interval(days => $1::integer))
