-- When a verdict was first settled as it is, so that each is counted once, however often its flow is judged again.
ALTER TABLE reset ADD COLUMN told_at timestamptz;
COMMENT ON COLUMN reset.told_at IS 'When the verdict, as it is now, was first settled; null: not yet';

UPDATE reset SET told_at = judged_at WHERE settled;
