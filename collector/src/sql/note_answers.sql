-- What memories answered. $1 flows, $2 runs, $3 questions, $4 vantages, $5 and $6 spans, $7 complete, $8 held, $9 and $10
-- first and last seen, $11 capturing since, $12 horizon, $13 dropped (columns of one table).
INSERT INTO recall (flow, run_id, question, vantage_id, from_ns, until_ns, complete, held, first_seen_ns, last_seen_ns,
    capturing_since_ns, horizon_ns, dropped)
SELECT * FROM unnest($1::bigint[], $2::integer[], $3::bigint[], $4::integer[], $5::bigint[], $6::bigint[], $7::boolean[],
    $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[])
ON CONFLICT (flow, run_id, question) DO UPDATE SET
    -- What an earlier answer brought whole is still here, though memory has forgotten it.
    from_ns = CASE WHEN recall.complete AND excluded.complete AND excluded.from_ns <= recall.until_ns + 1
        THEN LEAST(recall.from_ns, excluded.from_ns)
        WHEN recall.complete AND NOT excluded.complete THEN recall.from_ns
        ELSE excluded.from_ns END,
    until_ns = CASE WHEN recall.complete AND excluded.complete THEN GREATEST(recall.until_ns, excluded.until_ns)
        WHEN recall.complete AND NOT excluded.complete THEN recall.until_ns
        ELSE excluded.until_ns END,
    complete = recall.complete OR excluded.complete,
    held = excluded.held, first_seen_ns = excluded.first_seen_ns, last_seen_ns = excluded.last_seen_ns,
    horizon_ns = excluded.horizon_ns, dropped = excluded.dropped, answered_at = now()
