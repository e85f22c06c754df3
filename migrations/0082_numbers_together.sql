-- SYN and RST were asked for by their numbers together, and had an index each.
DROP INDEX digest_numbers, digest_reset_numbers;
-- Serves: sql/first_look.sql, sql/sharing_numbers.sql and sql/kin.sql, flows with a SYN or a RST of a number.
CREATE INDEX digest_numbers ON digest (seq) WHERE ((flags & 6) = 2 OR (flags & 4) <> 0 AND seq <> 0) AND seq >= 0;
