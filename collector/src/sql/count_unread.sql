-- Packets that could not be digested. $1 runs, $2 reasons, $3 counts to add.
INSERT INTO unread (run_id, reason, count)
SELECT * FROM unnest($1::integer[], $2::text[], $3::bigint[])
ON CONFLICT (run_id, reason) DO UPDATE SET count = unread.count + excluded.count
