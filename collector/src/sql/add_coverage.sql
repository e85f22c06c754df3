-- New spans. $1 runs, $2 vantages, $3 starts, $4 ends, $5 packets, $6 losses, $7 epochs of the clock.
INSERT INTO coverage (run_id, vantage_id, from_ns, until_ns, received, dropped, clock_epoch)
SELECT * FROM unnest($1::integer[], $2::integer[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[])
