-- Which digests came by recall. $1 questions, $2 runs, $3 first numbers, $4 numbers after the last (columns of one table).
INSERT INTO recall_batch (question, run_id, first_number, next_number)
SELECT * FROM unnest($1::bigint[], $2::integer[], $3::bigint[], $4::bigint[])
ON CONFLICT DO NOTHING
