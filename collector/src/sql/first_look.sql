-- All that is stored of the asked flows, at whatever vantage and of whatever day, where it is little; whether another flow
-- bears one of the numbers with which their connections began or were reset; and the vantages: rows of four parts in one
-- shape, 0 digests, 1 packed segments, 2 that a number is shared, 3 all vantages. $1 flows, $2 and $3 how many digests and packed
-- rows at most are read of each: as many say that there may be more, which sql/sightings.sql, sql/segments.sql,
-- sql/packed_segments.sql and sql/sharing_numbers.sql find. Uses digest_by_flow, packed_by_flow, digest_numbers and
-- digest_answers. Whoever drops a day locks digest before packed; so does this, part by part.
WITH looked AS MATERIALIZED (
    SELECT asked.n, digest.*
    FROM unnest($1::bigint[]) WITH ORDINALITY AS asked (flow, n)
    CROSS JOIN LATERAL (
        SELECT flow, vantage_id, run_id, number, time_ns, seq, ack, payload_len, option_order, sport, dport, win,
            flags, ttl, traffic_class, marks, interface, src, dst, payload_hash, ts_value, ts_echo, ip_id, mss,
            window_scale, vlan_outer, vlan_inner, link_source, sack_left, sack_right, tunnel_kind, tunnel_depth,
            tunnel_src, tunnel_dst, tunnel_id, rst_reason, day
        FROM digest
        WHERE digest.flow = asked.flow
        LIMIT $2::bigint
    ) AS digest
)
SELECT n AS asked, vantage_id, run_id, number, time_ns, seq, ack, payload_len, option_order, sport, dport, win, flags,
    ttl, traffic_class, marks, interface, src, dst, payload_hash, ts_value, ts_echo, ip_id, mss, window_scale,
    vlan_outer, vlan_inner, link_source, sack_left, sack_right, tunnel_kind, tunnel_depth, tunnel_src, tunnel_dst,
    tunnel_id, rst_reason, day, NULL::smallint AS segments, NULL::bytea AS octets, NULL::integer[] AS ids,
    NULL::text[] AS names, NULL::text[] AS kinds, NULL::text[] AS addresses, 0::smallint AS part
FROM looked
UNION ALL
SELECT n, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
    NULL, NULL, NULL, NULL, NULL, 2::smallint
FROM (
    SELECT DISTINCT n
    FROM (
        SELECT DISTINCT n, flow, isn
        FROM looked
        CROSS JOIN LATERAL (
            VALUES
                (CASE WHEN (flags & 6) = 2 OR ((flags & 4) <> 0 AND seq <> 0) THEN seq END),
                (CASE WHEN (flags & 22) = 18 THEN (ack + 4294967295) % 4294967296 END)
        ) AS borne (isn)
        WHERE isn IS NOT NULL
    ) AS own
    CROSS JOIN LATERAL (
        (SELECT 1
        FROM digest
        WHERE seq = own.isn AND ((flags & 6) = 2 OR (flags & 4) <> 0 AND seq <> 0) AND seq >= 0 AND digest.flow <> own.flow
        LIMIT 1)
        UNION ALL
        (SELECT 1
        FROM digest
        WHERE ack = (own.isn + 1) % 4294967296 AND (flags & 22) = 18 AND ack >= 0 AND digest.flow <> own.flow
        LIMIT 1)
    ) AS other
) AS sharing
UNION ALL
SELECT asked.n, vantage_id, run_id, first_number, first_ns, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
    NULL, NULL, NULL, day, segments, octets, NULL, NULL, NULL, NULL, 1::smallint
FROM unnest($1::bigint[]) WITH ORDINALITY AS asked (flow, n)
CROSS JOIN LATERAL (
    SELECT vantage_id, run_id, first_number, first_ns, day, segments, octets
    FROM packed
    WHERE packed.flow = asked.flow
    LIMIT $3::bigint
) AS packed
UNION ALL
SELECT 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
    NULL, array_agg(id ORDER BY id), array_agg(name ORDER BY id), array_agg(kind ORDER BY id),
    array_agg(array_to_string(addresses, ' ') ORDER BY id), 3::smallint
FROM vantage
