-- The vantages that have seen a SYN or SYN+ACK between two addresses. $1 and $2 the addresses (two columns of one table),
-- $3 and $4 first and last day. Each vantage is one step in digest_handshakes, however many handshakes it holds.
SELECT asked.n AS asked, known.vantage_id
FROM unnest($1::inet[], $2::inet[]) WITH ORDINALITY AS asked (one, two, n)
CROSS JOIN LATERAL (
    WITH RECURSIVE known (vantage_id) AS (
        (SELECT vantage_id
        FROM digest
        WHERE (day = 0 OR day BETWEEN $3 AND $4) AND (flags & 6) = 2 AND sport >= 0
            AND LEAST(src, dst) = LEAST(asked.one, asked.two) AND GREATEST(src, dst) = GREATEST(asked.one, asked.two)
        ORDER BY vantage_id
        LIMIT 1)
        UNION ALL
        SELECT next.vantage_id
        FROM known
        CROSS JOIN LATERAL (
            SELECT vantage_id
            FROM digest
            WHERE (day = 0 OR day BETWEEN $3 AND $4) AND (flags & 6) = 2 AND sport >= 0
                AND LEAST(src, dst) = LEAST(asked.one, asked.two) AND GREATEST(src, dst) = GREATEST(asked.one, asked.two)
                AND digest.vantage_id > known.vantage_id
            ORDER BY vantage_id
            LIMIT 1
        ) AS next
    )
    SELECT vantage_id FROM known
) AS known
