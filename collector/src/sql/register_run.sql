-- Enters a run, or notes that it is connected again; tells whose it is and how far it is stored.
-- $1 run id, $2 vantage, $3 source, $4 selection, $5 agent's version, $6 interfaces, $7 filter, $8 snaplen,
-- $9 one in how many is the sample.
WITH entered AS (
    INSERT INTO run (run_id, vantage_id, source, selection, agent_version, interfaces, filter, snaplen, sample_one_in)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
    ON CONFLICT (run_id) DO UPDATE SET connected_at = now()
    RETURNING id, vantage_id, committed
)
SELECT entered.id, entered.vantage_id, entered.committed, vantage.name
FROM entered JOIN vantage ON vantage.id = entered.vantage_id
