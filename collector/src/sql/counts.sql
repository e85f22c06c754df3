-- How many resets of each origin fall in each step of a span (sql/passing.sql follows this). $13 start of the span,
-- $14 length of a step, $15 how many steps.
SELECT ((time_ns - $13) / $14)::integer AS step, origin, count(*) AS resets
FROM reset
