-- Reports lie beside their rows, so that lists, counts and groups read a fifth of the pages; all else of a row fits into
-- half a KiB and stays together. Reports that are there already move with their next verdict.
ALTER TABLE reset SET (toast_tuple_target = 512);
