-- Questions that agents are still asked. $1 of these only; null: all. Uses recall_question_open.
SELECT id, question, vantages
FROM recall_question
WHERE until > now() AND ($1::bigint IS NULL OR id = $1)
ORDER BY id DESC
LIMIT 4096
