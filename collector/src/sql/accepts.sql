-- SYN+ACK from endpoints at vantages in stretches of time, those nearest to one end. $1 vantages, $2 and $3 an endpoint's
-- address and port, $4 whose are left out of those nearest, $5 and $6 its first and last stretch (six columns of one table);
-- $7 after which moment, $8 up to which, $9 whether counted from the late end, $10 how many are looked at at most (four columns
-- of another), $11 and $12 first and last day. Most ends accept nothing, so that is asked first. Uses digest_accepts.
SELECT asked.n AS asked, found.*
FROM unnest($1::integer[], $2::inet[], $3::integer[], $4::inet[], $5::bigint[], $6::bigint[])
    AS server (vantage_id, addr, port, without, first, last)
CROSS JOIN LATERAL (
    SELECT
    FROM digest
    WHERE (day = 0 OR day BETWEEN $11 AND $12) AND digest.vantage_id = server.vantage_id AND (flags & 22) = 18 AND sport >= 0
        AND src = server.addr AND sport = server.port
    LIMIT 1
) AS any_accepted
CROSS JOIN LATERAL (
    SELECT stretch.*, server.first - 1 + number AS n
    FROM unnest(
        ($7::bigint[])[server.first:server.last], ($8::bigint[])[server.first:server.last],
        ($9::boolean[])[server.first:server.last], ($10::bigint[])[server.first:server.last]
    ) WITH ORDINALITY AS stretch (after_ns, until_ns, backwards, most, number)
) AS asked
CROSS JOIN LATERAL (
    (SELECT vantage_id, run_id, number, time_ns, seq, ack, payload_len, option_order, sport, dport, win, flags, ttl,
        traffic_class, marks, interface, src, dst, payload_hash, ts_value, ts_echo, ip_id, mss, window_scale,
        vlan_outer, vlan_inner, link_source, sack_left, sack_right, tunnel_kind, tunnel_depth, tunnel_src, tunnel_dst,
        tunnel_id, rst_reason
    FROM digest
    WHERE (day = 0 OR day BETWEEN $11 AND $12) AND NOT asked.backwards AND digest.vantage_id = server.vantage_id AND (flags & 22) = 18 AND sport >= 0
        AND src = server.addr AND sport = server.port
        AND time_ns > asked.after_ns AND time_ns <= asked.until_ns
    ORDER BY time_ns
    LIMIT asked.most)
    UNION ALL
    (SELECT vantage_id, run_id, number, time_ns, seq, ack, payload_len, option_order, sport, dport, win, flags, ttl,
        traffic_class, marks, interface, src, dst, payload_hash, ts_value, ts_echo, ip_id, mss, window_scale,
        vlan_outer, vlan_inner, link_source, sack_left, sack_right, tunnel_kind, tunnel_depth, tunnel_src, tunnel_dst,
        tunnel_id, rst_reason
    FROM digest
    WHERE (day = 0 OR day BETWEEN $11 AND $12) AND asked.backwards AND digest.vantage_id = server.vantage_id AND (flags & 22) = 18 AND sport >= 0
        AND src = server.addr AND sport = server.port
        AND time_ns > asked.after_ns AND time_ns <= asked.until_ns
    ORDER BY time_ns DESC
    LIMIT asked.most)
) AS found
WHERE server.without IS NULL OR found.dst <> server.without
