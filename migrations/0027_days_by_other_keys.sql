-- Days have partitions of the tables by other keys, too.
DO $$
DECLARE
    known  integer;
    parent text;
    part   text;
BEGIN
    FOR known IN SELECT day FROM day LOOP
        FOREACH parent IN ARRAY ARRAY['near', 'opening'] LOOP
            part := parent || '_' || to_char(date '1970-01-01' + known, 'YYYYMMDD');
            EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', part, parent);
            EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES IN (%s)', parent, part, known);
        END LOOP;
    END LOOP;
END
$$;

CREATE OR REPLACE FUNCTION open_day(wanted integer) RETURNS void LANGUAGE plpgsql SET lock_timeout = '3s' AS $$
DECLARE
    parent text;
    part   text;
BEGIN
    PERFORM pg_advisory_xact_lock(730860475);
    IF EXISTS (SELECT FROM day WHERE day = wanted) THEN
        RETURN;
    END IF;
    FOREACH parent IN ARRAY ARRAY['digest', 'packed', 'payload', 'near', 'opening'] LOOP
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

CREATE OR REPLACE FUNCTION drop_day(old integer) RETURNS void LANGUAGE plpgsql SET lock_timeout = '3s' AS $$
DECLARE
    parent text;
BEGIN
    PERFORM pg_advisory_xact_lock(730860475);
    -- Loads that write to the day hold its row: they end first, and later ones don't find it.
    DELETE FROM day WHERE day = old;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    FOREACH parent IN ARRAY ARRAY['digest', 'packed', 'payload', 'near', 'opening'] LOOP
        EXECUTE format('DROP TABLE %I', parent || '_' || to_char(date '1970-01-01' + old, 'YYYYMMDD'));
    END LOOP;
END
$$;
