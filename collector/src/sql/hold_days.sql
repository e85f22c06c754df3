-- Which of the days have partitions; they keep them until the transaction ends. $1 days.
SELECT day FROM day WHERE day = ANY ($1) ORDER BY day FOR KEY SHARE
