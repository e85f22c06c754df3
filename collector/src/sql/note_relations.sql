-- What judged flows have to do with others: sql/note_kin.sql without what follows from it. $1 judged flows, $2 their kin
-- (two columns of one table). Tells the kin of which that is new.
WITH fresh AS (
    INSERT INTO reset_kin (flow, kin)
    SELECT DISTINCT flow, kin FROM unnest($1::bigint[], $2::bigint[]) AS related (flow, kin) ORDER BY flow, kin
    ON CONFLICT DO NOTHING
    RETURNING kin
)
SELECT DISTINCT kin FROM fresh
