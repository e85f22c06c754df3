-- Partitions come and go by these functions, one collector at a time (advisory lock), so that a day has all three or none.
-- They give up on a lock soon: who waits for a table exclusively makes everybody wait.
CREATE FUNCTION open_day(wanted integer) RETURNS void LANGUAGE plpgsql SET lock_timeout = '3s' AS $$
DECLARE
    parent text;
    part   text;
BEGIN
    PERFORM pg_advisory_xact_lock(730860475);
    IF EXISTS (SELECT FROM day WHERE day = wanted) THEN
        RETURN;
    END IF;
    FOREACH parent IN ARRAY ARRAY['digest', 'packed', 'payload'] LOOP
        part := parent || '_' || to_char(date '1970-01-01' + wanted, 'YYYYMMDD');
        -- Attaching hinders no reader and no writer; creating a partition in place would hinder all.
        EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', part, parent);
        IF parent = 'packed' THEN
            EXECUTE format('ALTER TABLE %I SET (toast_tuple_target = 8160)', part);
        END IF;
        EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES IN (%s)', parent, part, wanted);
    END LOOP;
    INSERT INTO day (day) VALUES (wanted);
END
$$;
COMMENT ON FUNCTION open_day IS 'Makes the partitions of a day where there are none';

CREATE FUNCTION drop_day(old integer) RETURNS void LANGUAGE plpgsql SET lock_timeout = '3s' AS $$
DECLARE
    parent text;
BEGIN
    PERFORM pg_advisory_xact_lock(730860475);
    -- Loads that write to the day hold its row: they end first, and later ones don't find it.
    DELETE FROM day WHERE day = old;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    FOREACH parent IN ARRAY ARRAY['digest', 'packed', 'payload'] LOOP
        EXECUTE format('DROP TABLE %I', parent || '_' || to_char(date '1970-01-01' + old, 'YYYYMMDD'));
    END LOOP;
END
$$;
COMMENT ON FUNCTION drop_day IS 'Drops the partitions of a day';
