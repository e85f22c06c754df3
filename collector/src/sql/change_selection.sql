-- A run ships other segments from a moment on. $1 run, $2 vantage, $3 from, $4 selection, $5 one in how many.
WITH began AS (
    INSERT INTO selection_change (run_id, from_ns, vantage_id, selection, sample_one_in)
    SELECT id, 0, vantage_id, selection, sample_one_in FROM run WHERE id = $1
    ON CONFLICT DO NOTHING
), changed AS (
    INSERT INTO selection_change (run_id, from_ns, vantage_id, selection, sample_one_in)
    VALUES ($1, $3, $2, $4, $5)
    ON CONFLICT DO NOTHING
)
-- The least of all that it shipped.
UPDATE run
SET selection = least.selection, sample_one_in = least.sample_one_in
FROM (
    SELECT selection, sample_one_in
    FROM (
        VALUES ($4::text, $5::bigint), ((SELECT selection FROM run WHERE id = $1), (SELECT sample_one_in FROM run WHERE id = $1))
    ) AS known (selection, sample_one_in)
    ORDER BY CASE selection WHEN 'context' THEN 2 WHEN 'sampled' THEN 1 ELSE 0 END DESC, sample_one_in DESC
    LIMIT 1
) AS least
WHERE run.id = $1
