-- Runs that ended not long ago, or not yet; since when these had watched; and what is old. $1 days that are kept.
SELECT COALESCE(array_agg(id), '{}'), min(COALESCE(first_ns, -9223372036854775808)), ((extract(epoch FROM now()) - $1::integer * 86400) * 1000000000)::bigint
FROM run
WHERE COALESCE(finished_at, connected_at) >= now() - make_interval(days => $1::integer)
