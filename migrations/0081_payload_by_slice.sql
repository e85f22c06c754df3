-- Hashes lie anywhere, so over an index of them each new row was written somewhere else in all of the day's. Now what came
-- in the same 2^39 ns (nine minutes) lies together: new rows go to a part of the index that is in memory, and what is looked
-- for around one moment is there too. The number of the slice takes the place of eight bits of the hash.
DROP INDEX payload_by_hash;
-- Serves: sql/carriers.sql, flows that carry a payload around a time.
CREATE INDEX payload_by_slice ON payload (((time_ns >> 39 << 56) | (hash >> 8 & 72057594037927935)), time_ns);
