-- A clock that is set back gives spans that overlap earlier ones: they belong to another epoch of the run's clock.
ALTER TABLE coverage
    ADD COLUMN clock_epoch bigint NOT NULL DEFAULT 0,
    DROP CONSTRAINT coverage_pkey,
    ADD CONSTRAINT coverage_pkey PRIMARY KEY (run_id, clock_epoch, from_ns);
COMMENT ON COLUMN coverage.clock_epoch IS 'How often the machine''s clock had been stepped within the run; spans of one epoch do not overlap';

ALTER TABLE run ADD COLUMN coverage_epoch bigint;
COMMENT ON COLUMN run.coverage_epoch IS 'Epoch of the latest coverage row; null: 0';
