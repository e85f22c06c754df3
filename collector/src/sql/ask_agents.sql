-- Enters questions and tells every collector. $1 flows, $2 questions (two columns of one table), $3 seconds for which
-- agents that connect are asked too.
WITH entered AS (
    INSERT INTO recall_question (flow, question, until)
    SELECT flow, question, now() + make_interval(secs => $3)
    FROM unnest($1::bigint[], $2::bytea[]) AS asked (flow, question)
    RETURNING id, question
)
SELECT id, question, pg_notify('parallax_recall', id::text)::text FROM entered ORDER BY id
