-- What the page counts by, beside the place of birth.
ALTER TABLE reset
    ADD COLUMN emitted_at text,
    ADD COLUMN lost_a     text,
    ADD COLUMN lost_b     text;
COMMENT ON COLUMN reset.emitted_at IS 'The vantage nearest to the emitter of an endpoint''s reset';
COMMENT ON COLUMN reset.lost_a IS 'The last vantage that saw it, where it was lost on its way';
COMMENT ON COLUMN reset.lost_b IS 'The vantage that would have seen it next';

UPDATE reset SET
    emitted_at = report ->> 'at',
    lost_a = report -> 'lost_between' ->> 0,
    lost_b = report -> 'lost_between' ->> 1;
