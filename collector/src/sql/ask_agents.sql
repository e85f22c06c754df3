-- Enters questions and tells every collector; those that were put before, word for word, are left out. $1 flows, $2 questions
-- (two columns of one table), $3 seconds for which agents that connect are asked too. Uses recall_question_by_flow.
WITH entered AS (
    INSERT INTO recall_question (flow, question, until)
    SELECT flow, question, now() + make_interval(secs => $3)
    FROM unnest($1::bigint[], $2::bytea[]) AS asked (flow, question)
    WHERE NOT EXISTS (
        SELECT FROM recall_question AS known WHERE known.flow = asked.flow AND known.question = asked.question
    )
    RETURNING id, question
)
SELECT id, question, pg_notify('parallax_recall', id::text)::text FROM entered ORDER BY id
