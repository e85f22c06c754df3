-- Writes verdicts. $1 flows, $2 identities, $3 times, $4 reports, $5 their hashes, $6 vantages as the text of an array. What
-- questions filter by is taken from the report, so that the two never differ. The id of the first judgement stays: the
-- judge was told it.
WITH judged AS MATERIALIZED (
    -- Else each column would have the report parsed once more.
    SELECT flow, identity, time_ns, text::jsonb AS report, report_hash, vantages::integer[] AS vantages
    FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::bigint[], $6::text[])
        AS written (flow, identity, time_ns, text, report_hash, vantages)
)
INSERT INTO reset (flow, identity, id, time_ns, src, dst, sport, dport, origin, cause, between_a, between_b, emitted_at,
    lost_a, lost_b, seen_at, settled, report, report_hash, vantages)
SELECT
    flow, identity, (report ->> 'id')::uuid, time_ns,
    (report ->> 'src')::inet, (report ->> 'dst')::inet, (report ->> 'sport')::integer, (report ->> 'dport')::integer,
    report ->> 'origin', report ->> 'cause',
    report -> 'between' ->> 0, report -> 'between' ->> 1, report ->> 'at',
    report -> 'lost_between' ->> 0, report -> 'lost_between' ->> 1,
    ARRAY(SELECT jsonb_array_elements_text(report -> 'seen_at')),
    false, report, report_hash, vantages
FROM judged
ON CONFLICT (flow, identity) DO UPDATE SET
    id = excluded.id, time_ns = excluded.time_ns,
    src = excluded.src, dst = excluded.dst, sport = excluded.sport, dport = excluded.dport,
    origin = excluded.origin, cause = excluded.cause,
    between_a = excluded.between_a, between_b = excluded.between_b, emitted_at = excluded.emitted_at,
    lost_a = excluded.lost_a, lost_b = excluded.lost_b, seen_at = excluded.seen_at,
    settled = false, told_at = NULL, report = excluded.report, report_hash = excluded.report_hash, vantages = excluded.vantages,
    judged_at = now(), changed_at = now()
