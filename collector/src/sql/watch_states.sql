-- The newest run of each vantage, its clock by the newest exchange, and how far back its memory reached when it was asked
-- last. Uses run_vantage, clock_exchange_by_vantage.
SELECT vantage.name, run.source, run.agent_version, run.interfaces, run.filter, run.selection, run.sample_one_in,
    run.received, run.first_ns, run.last_ns,
    (extract(epoch FROM run.registered_at) * 1000000000)::bigint AS registered_ns,
    (extract(epoch FROM run.connected_at) * 1000000000)::bigint AS connected_ns,
    (extract(epoch FROM run.finished_at) * 1000000000)::bigint AS finished_ns,
    clock.offset_ns, clock.error_ns, memory.horizon_ns, memory.asked_ns
FROM vantage
LEFT JOIN LATERAL (
    SELECT * FROM run WHERE run.vantage_id = vantage.id ORDER BY run.id DESC LIMIT 1
) AS run ON true
LEFT JOIN LATERAL (
    SELECT offset_ns, error_ns FROM clock_exchange
    WHERE clock_exchange.vantage_id = vantage.id
    ORDER BY at_ns DESC
    LIMIT 1
) AS clock ON true
LEFT JOIN LATERAL (
    SELECT horizon_ns, (extract(epoch FROM answered_at) * 1000000000)::bigint AS asked_ns
    FROM recall
    WHERE recall.run_id = run.id
    ORDER BY answered_at DESC
    LIMIT 1
) AS memory ON true
ORDER BY vantage.id
