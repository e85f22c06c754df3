-- Enters a vantage, or brings what is known of it up to date. $1 name, $2 kind, $3 addresses.
WITH known AS (
    -- Most agents come back unchanged: no write, and no number of the identity column used up.
    SELECT id FROM vantage WHERE name = $1 AND kind = $2 AND addresses = $3
), entered AS (
    INSERT INTO vantage (name, kind, addresses)
    SELECT $1, $2, $3 WHERE NOT EXISTS (SELECT FROM known)
    ON CONFLICT (name) DO UPDATE SET kind = excluded.kind, addresses = excluded.addresses
    RETURNING id
)
SELECT id FROM known UNION ALL SELECT id FROM entered
