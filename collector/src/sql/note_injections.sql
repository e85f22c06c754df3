-- Notes that places forged resets, in one order for all transactions. $1 and $2 places, $3 how many, $4 causes,
-- $5 examples (columns of one table).
INSERT INTO injection (between_a, between_b, resets, cause, example)
SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::uuid[])
    AS told (between_a, between_b, resets, cause, example)
ORDER BY between_a, between_b
ON CONFLICT (between_a, between_b) DO UPDATE SET
    last_at = now(),
    -- After it was quiet another episode begins.
    quiet_at = NULL,
    resets = CASE WHEN injection.quiet_at IS NULL THEN injection.resets ELSE 0 END + excluded.resets,
    episode = CASE WHEN injection.quiet_at IS NULL THEN injection.episode ELSE gen_random_uuid() END,
    cause = CASE WHEN injection.quiet_at IS NULL THEN injection.cause ELSE excluded.cause END,
    example = CASE WHEN injection.quiet_at IS NULL THEN injection.example ELSE excluded.example END,
    began_at = CASE WHEN injection.quiet_at IS NULL THEN injection.began_at ELSE now() END
