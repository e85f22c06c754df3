-- What keeps a table and its partitions from being distributed by a column: the column is missing or may be null, a primary
-- or unique key or an exclusion does not contain it, or a foreign key leads to the table or away from it. $1 table, $2 column.
WITH part AS (
    SELECT relid FROM pg_partition_tree(to_regclass($1))
    UNION
    SELECT to_regclass($1) WHERE to_regclass($1) IS NOT NULL
), by AS (
    SELECT part.relid, attnum, attnotnull
    FROM part LEFT JOIN pg_attribute ON attrelid = part.relid AND attname = $2 AND NOT attisdropped
)
SELECT format('there is no table %s', $1) WHERE to_regclass($1) IS NULL
UNION ALL
SELECT format('table %s has no column %s that is never null', relid, $2)
FROM by WHERE attnum IS NULL OR NOT attnotnull
UNION ALL
SELECT format('index %s of table %s is unique without %s', indexrelid::regclass, indrelid::regclass, $2)
FROM pg_index JOIN by ON relid = indrelid
WHERE (indisunique OR indisexclusion) AND NOT by.attnum = ANY (indkey[0:indnkeyatts - 1])
UNION ALL
SELECT format('foreign key %s joins table %s to table %s', conname, conrelid::regclass, confrelid::regclass)
FROM pg_constraint
WHERE contype = 'f' AND (conrelid IN (SELECT relid FROM part) OR confrelid IN (SELECT relid FROM part))
