-- Flows with a number, as in sql/kin.sql, of which this is the second half. A scanner uses one number for many
-- connections: those to the same end come first. $1 number, $2 and $3 that end's address and port, $4 and $5 first and last
-- day. Uses opening_by_number.
SELECT found.flow
FROM (
    SELECT DISTINCT flow, server = $2 AND port = $3 AS same
    FROM (
        SELECT flow, server, port
        FROM opening
        WHERE (day = 0 OR day BETWEEN $4 AND $5) AND opening.number = $1
        LIMIT 6144
    ) AS bearing
) AS found
ORDER BY found.same DESC, found.flow
LIMIT 64
