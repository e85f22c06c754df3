-- Rows of before stay as they are: their octets begin as a zstd frame does.
COMMENT ON COLUMN packed.octets IS 'Segments in columns of bits (collector/src/store/packed/columns.rs), or as before: zstd of a message Pack (packed/zipped.rs)';
