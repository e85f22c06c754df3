-- What is known of the resets of flows. $1 flows. In one order everywhere, so that two transactions never wait for
-- each other in a circle.
SELECT flow, identity, report_hash, vantages
FROM reset
WHERE flow = ANY ($1)
ORDER BY flow, identity
FOR UPDATE
