-- $1 resets, the oldest at $2, one each $3 nanoseconds; as long and as varied as real ones.
INSERT INTO reset (flow, identity, id, time_ns, src, dst, sport, dport, origin, cause, between_a, between_b, emitted_at,
    seen_at, settled, report)
SELECT n / 2, n, id, time_ns, src::inet, dst::inet, sport, dport, origin, cause, born[1], born[2], emitted_at, seen_at, true,
    jsonb_build_object(
        'id', id, 'time', to_char(to_timestamp(time_ns / 1e9) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'src', src, 'sport', sport, 'dst', dst, 'dport', dport, 'seq', n, 'ack', null, 'flags', 'R', 'count', 1,
        'origin', origin, 'emitter', CASE WHEN origin = 'endpoint' THEN 'server' END,
        'between', CASE WHEN born IS NOT NULL THEN to_jsonb(born) END, 'at', emitted_at, 'lost_between', null,
        'seen_at', to_jsonb(seen_at), 'absent_at', jsonb_build_array(),
        'cause', cause, 'root', null, 'confidence', 0.99, 'effective', null, 'trigger', null, 'decide', null,
        'evidence', (SELECT jsonb_agg(jsonb_build_object('kind', 'attested_absence', 'vantage', 'fw-out',
                'text', 'evidence ' || md5((n * 31 + line)::text) || md5((n * 37 + line)::text) || md5((n * 41 + line)::text)))
            FROM generate_series(1, 9) AS line),
        'path', jsonb_build_array('client', 'fw-in', 'fw-out', 'server'))
FROM (
    SELECT n, $2::bigint + n * $3::bigint AS time_ns,
        ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid AS id,
        '198.51.100.' || (n * 7 % 250 + 1) AS src, '192.0.2.' || (n * 13 % 250 + 1) AS dst,
        (ARRAY[443, 443, 443, 80, 22, 8443])[n % 6 + 1] AS sport, (20000 + n * 17 % 40000)::integer AS dport,
        (ARRAY['endpoint', 'endpoint', 'middlebox', 'middlebox', 'undetermined'])[n % 5 + 1] AS origin,
        (ARRAY['closed_port', 'no_socket', 'firewall_reject_content', 'firewall_idle_timeout', 'unknown'])[n % 5 + 1] AS cause,
        CASE n % 5 WHEN 2 THEN ARRAY['fw-out', 'fw-in'] WHEN 3 THEN ARRAY['gateway', 'fw-out'] WHEN 4 THEN ARRAY[NULL, 'fw-in'] END AS born,
        CASE WHEN n % 5 < 2 THEN 'server' END AS emitted_at,
        CASE WHEN n % 5 < 2 THEN ARRAY['server', 'fw-out', 'fw-in', 'client'] ELSE ARRAY['fw-in', 'client'] END AS seen_at
    FROM generate_series(1, $1::bigint) AS n
) AS made
