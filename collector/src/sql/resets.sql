-- The newest resets that pass every filter that is given. $1 since, $2 until, $3 address, $4 port, $5 vantage that saw
-- it, $6 origin, $7 cause, $8 and $9 the place of birth in either order, $10 how many.
SELECT id, report::text AS report
FROM reset
WHERE ($1::bigint IS NULL OR time_ns >= $1)
    AND ($2::bigint IS NULL OR time_ns <= $2)
    AND ($3::inet IS NULL OR src = $3 OR dst = $3)
    AND ($4::integer IS NULL OR sport = $4 OR dport = $4)
    AND ($5::text IS NULL OR $5 = ANY (seen_at))
    AND ($6::text IS NULL OR origin = $6)
    AND ($7::text IS NULL OR cause = $7)
    AND ($8::text IS NULL OR (between_a = $8 AND between_b = $9) OR (between_a = $9 AND between_b = $8))
ORDER BY time_ns DESC, id
LIMIT $10
