-- Judging again mostly finds the same: a hash tells, without reading the report. And late coverage of a vantage matters
-- only to those that it has to do with.
ALTER TABLE reset ADD COLUMN report_hash bigint, ADD COLUMN vantages integer[];
COMMENT ON COLUMN reset.report_hash IS 'xxh3-64 of the report as it was written; null: written by an earlier version';
COMMENT ON COLUMN reset.vantages IS 'vantage.id of those that have to do with its flow; null: all';

-- Reports are written often and read seldom: a faster compression, where the server has it.
DO $$
BEGIN
    ALTER TABLE reset ALTER COLUMN report SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported OR invalid_parameter_value THEN
    NULL;
END
$$;
