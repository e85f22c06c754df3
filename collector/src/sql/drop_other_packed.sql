-- What is old of packed segments without a day of their own. $1 days that are kept. Uses packed_other_by_time.
DELETE FROM packed
WHERE day = 0 AND last_ns < (extract(epoch FROM current_date - $1::integer) * 1000000000)::bigint
    AND NOT EXISTS (SELECT FROM run WHERE run.id = packed.run_id AND COALESCE(finished_at, connected_at) >= current_date - $1::integer)
