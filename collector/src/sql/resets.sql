-- The newest resets that pass the filters (sql/passing.sql follows this). $13 and $14: only those after this one in the
-- order of the answer, which is of this time and id. Uses reset_by_time.
SELECT id, time_ns, report::text AS report
FROM (SELECT * FROM reset
