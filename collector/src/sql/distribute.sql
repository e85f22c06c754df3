-- Distributes a table unless it is distributed already. $1 table, $2 column, $3 the table beside whose shards its own lie.
SELECT create_distributed_table($1::regclass, $2::text, colocate_with => $3::text)
WHERE NOT EXISTS (SELECT FROM pg_dist_partition WHERE logicalrelid = $1::regclass)
