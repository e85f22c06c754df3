-- Latest spans reach further. $1 runs, $2 keys, $3 new ends, $4 packets to add, $5 epochs.
UPDATE coverage
SET until_ns = grown.until_ns, received = coverage.received + grown.received
FROM unnest($1::integer[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[]) AS grown (run_id, from_ns, until_ns, received, epoch)
WHERE coverage.run_id = grown.run_id AND coverage.from_ns = grown.from_ns AND coverage.clock_epoch = grown.epoch
