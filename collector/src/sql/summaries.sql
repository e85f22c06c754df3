-- What every vantage captured and lost, over all its runs.
SELECT vantage.id, vantage.name, vantage.kind, vantage.addresses,
    COALESCE(sum(run.received), 0)::bigint AS received, COALESCE(sum(run.dropped), 0)::bigint AS dropped,
    COALESCE(sum(run.sent_octets), 0)::bigint AS sent_octets,
    COALESCE(sum(run.observed_octets), 0)::bigint AS observed_octets,
    min(run.first_ns) AS first_ns, max(run.last_ns) AS last_ns
FROM vantage LEFT JOIN run ON run.vantage_id = vantage.id
GROUP BY vantage.id
ORDER BY vantage.id
