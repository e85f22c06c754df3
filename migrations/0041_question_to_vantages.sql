-- In a fleet most agents have nothing to do with a connection.
ALTER TABLE recall_question ADD COLUMN vantages integer[];
COMMENT ON COLUMN recall_question.vantages IS 'vantage.id of those that answer even if they hold nothing; null: all';
