-- Digests by vantage, of those that were stored while nothing was distributed.
INSERT INTO near SELECT * FROM digest WHERE NOT EXISTS (SELECT FROM near LIMIT 1)
