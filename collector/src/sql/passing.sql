-- Filters of resets, for the end of other questions. $1 since, $2 until, $3 address, $4 port, $5 vantage that saw it,
-- $6 origin, $7 cause, $8 and $9 the place of birth in either order, $10 the vantage nearest to its emitter, $11 and $12
-- where it was lost, in either order. Of two vantages the empty one stands for "beyond the outermost".
WHERE ($1::bigint IS NULL OR time_ns >= $1)
    AND ($2::bigint IS NULL OR time_ns <= $2)
    AND ($3::inet IS NULL OR src = $3 OR dst = $3)
    AND ($4::integer IS NULL OR sport = $4 OR dport = $4)
    AND ($5::text IS NULL OR $5 = ANY (seen_at))
    AND ($6::text IS NULL OR origin = $6)
    AND ($7::text IS NULL OR cause = $7)
    AND ($8::text IS NULL
        OR (between_a IS NOT DISTINCT FROM NULLIF($8, '') AND between_b IS NOT DISTINCT FROM NULLIF($9::text, ''))
        OR (between_a IS NOT DISTINCT FROM NULLIF($9, '') AND between_b IS NOT DISTINCT FROM NULLIF($8, '')))
    AND ($8::text IS NULL OR between_a IS NOT NULL OR between_b IS NOT NULL)
    AND ($10::text IS NULL OR emitted_at = $10)
    AND ($11::text IS NULL
        OR (lost_a IS NOT DISTINCT FROM NULLIF($11, '') AND lost_b IS NOT DISTINCT FROM NULLIF($12::text, ''))
        OR (lost_a IS NOT DISTINCT FROM NULLIF($12, '') AND lost_b IS NOT DISTINCT FROM NULLIF($11, '')))
    AND ($11::text IS NULL OR lost_a IS NOT NULL OR lost_b IS NOT NULL)
