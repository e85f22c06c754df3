-- Serves: sql/ask_agents.sql, what was asked about a flow before.
CREATE INDEX recall_question_by_flow ON recall_question (flow);
