-- Digests of flows that came by recall, by run, in their order. $1 flows.
SELECT DISTINCT batch.run_id, batch.first_number, batch.next_number
FROM recall JOIN recall_batch AS batch ON batch.question = recall.question AND batch.run_id = recall.run_id
WHERE recall.flow = ANY ($1)
ORDER BY batch.run_id, batch.first_number
