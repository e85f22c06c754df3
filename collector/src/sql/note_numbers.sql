-- The numbers with which judged flows began. $1 numbers, $2 flows (two columns of one table).
INSERT INTO reset_number (number, flow)
SELECT DISTINCT number, flow FROM unnest($1::bigint[], $2::bigint[]) AS begun (number, flow) ORDER BY number, flow
ON CONFLICT DO NOTHING
