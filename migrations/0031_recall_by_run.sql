-- Serves: sql/watch_states.sql, the latest answer of a run's memory.
CREATE INDEX recall_by_run ON recall (run_id, answered_at DESC);
