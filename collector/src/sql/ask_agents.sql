-- Enters questions and tells every collector; those that were put before, word for word to the same vantages, are left out.
-- $1 flows, $2 questions, $3 vantages (three columns of one table), $4 seconds for which agents that connect are asked too.
-- Uses recall_question_by_flow.
WITH entered AS (
    INSERT INTO recall_question (flow, question, vantages, until)
    SELECT flow, question, vantages::integer[], now() + make_interval(secs => $4)
    FROM unnest($1::bigint[], $2::bytea[], $3::text[]) AS asked (flow, question, vantages)
    WHERE NOT EXISTS (
        SELECT FROM recall_question AS known
        WHERE known.flow = asked.flow AND known.question = asked.question
            AND known.vantages IS NOT DISTINCT FROM asked.vantages::integer[]
    )
    RETURNING id, question, vantages
)
SELECT id, question, vantages, pg_notify('parallax_recall', id::text)::text FROM entered ORDER BY id
