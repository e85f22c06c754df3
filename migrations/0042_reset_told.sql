-- Judging again mostly finds the same: a hash tells, without reading the report. And late coverage of a vantage matters
-- only to those that it has to do with.
ALTER TABLE reset ADD COLUMN told bigint, ADD COLUMN vantages integer[];
COMMENT ON COLUMN reset.told IS 'xxh3-64 of the report as it was written; null: written by an earlier version';
COMMENT ON COLUMN reset.vantages IS 'vantage.id of those that have to do with its flow; null: all';
