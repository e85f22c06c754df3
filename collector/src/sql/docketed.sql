-- Every flow that waits for judgement, by the time of its newest reset; of one that was never judged, by that of its evidence.
SELECT docket.flow
FROM docket
LEFT JOIN LATERAL (SELECT max(time_ns) AS newest_ns FROM reset WHERE reset.flow = docket.flow) AS known ON true
ORDER BY COALESCE(newest_ns, (extract(epoch FROM touched_at) * 1000000000)::bigint), docket.flow
