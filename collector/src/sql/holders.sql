-- The vantages that hold segments of flows, with the two hosts where a row tells. $1 flows, $2 and $3 first and last day.
-- Each vantage is one step in digest_by_flow and packed_by_flow, however many segments it holds.
SELECT asked.n AS asked, holder.vantage_id, holder.src, holder.dst
FROM unnest($1::bigint[]) WITH ORDINALITY AS asked (flow, n)
CROSS JOIN LATERAL (
    WITH RECURSIVE
    apart (vantage_id, src, dst) AS (
        (SELECT vantage_id, src, dst
        FROM digest
        WHERE (day = 0 OR day BETWEEN $2 AND $3) AND digest.flow = asked.flow
        ORDER BY vantage_id
        LIMIT 1)
        UNION ALL
        SELECT next.vantage_id, next.src, next.dst
        FROM apart
        CROSS JOIN LATERAL (
            SELECT vantage_id, src, dst
            FROM digest
            WHERE (day = 0 OR day BETWEEN $2 AND $3) AND digest.flow = asked.flow AND digest.vantage_id > apart.vantage_id
            ORDER BY vantage_id
            LIMIT 1
        ) AS next
    ),
    together (vantage_id) AS (
        (SELECT vantage_id
        FROM packed
        WHERE (day = 0 OR day BETWEEN $2 AND $3) AND packed.flow = asked.flow
        ORDER BY vantage_id
        LIMIT 1)
        UNION ALL
        SELECT next.vantage_id
        FROM together
        CROSS JOIN LATERAL (
            SELECT vantage_id
            FROM packed
            WHERE (day = 0 OR day BETWEEN $2 AND $3) AND packed.flow = asked.flow AND packed.vantage_id > together.vantage_id
            ORDER BY vantage_id
            LIMIT 1
        ) AS next
    )
    SELECT vantage_id, src, dst FROM apart
    UNION ALL
    SELECT vantage_id, NULL, NULL FROM together
) AS holder
