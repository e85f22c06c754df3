-- The asked flows' segments at each vantage, around the moment at which that vantage saw the reset.
-- $1 flows, $2 vantages, $3 moments (three columns of one table), $4 and $5 first and last day. Uses digest_by_flow.
SELECT asked.n AS asked, segment.*
FROM unnest($1::bigint[], $2::integer[], $3::bigint[]) WITH ORDINALITY AS asked (flow, vantage_id, moment, n)
CROSS JOIN LATERAL (
    -- What led to it, newest first.
    (SELECT vantage_id, run_id, number, time_ns, seq, ack, payload_len, option_order, sport, dport, win, flags, ttl,
        traffic_class, marks, interface, src, dst, payload_hash, ts_value, ts_echo, ip_id, mss, window_scale,
        vlan_outer, vlan_inner, link_source, sack_left, sack_right, tunnel_kind, tunnel_depth, tunnel_src, tunnel_dst,
        tunnel_id, rst_reason
    FROM digest
    WHERE (day = 0 OR day BETWEEN $4 AND $5) AND digest.flow = asked.flow AND digest.vantage_id = asked.vantage_id AND time_ns <= asked.moment
    ORDER BY time_ns DESC
    LIMIT 3073)
    UNION ALL
    -- What came after it.
    (SELECT vantage_id, run_id, number, time_ns, seq, ack, payload_len, option_order, sport, dport, win, flags, ttl,
        traffic_class, marks, interface, src, dst, payload_hash, ts_value, ts_echo, ip_id, mss, window_scale,
        vlan_outer, vlan_inner, link_source, sack_left, sack_right, tunnel_kind, tunnel_depth, tunnel_src, tunnel_dst,
        tunnel_id, rst_reason
    FROM digest
    WHERE (day = 0 OR day BETWEEN $4 AND $5) AND digest.flow = asked.flow AND digest.vantage_id = asked.vantage_id AND time_ns > asked.moment
    ORDER BY time_ns
    LIMIT 1025)
    UNION ALL
    -- How it began, where the parts above do not reach back to it; the reader drops what it has twice.
    (SELECT vantage_id, run_id, number, time_ns, seq, ack, payload_len, option_order, sport, dport, win, flags, ttl,
        traffic_class, marks, interface, src, dst, payload_hash, ts_value, ts_echo, ip_id, mss, window_scale,
        vlan_outer, vlan_inner, link_source, sack_left, sack_right, tunnel_kind, tunnel_depth, tunnel_src, tunnel_dst,
        tunnel_id, rst_reason
    FROM digest
    WHERE (day = 0 OR day BETWEEN $4 AND $5) AND digest.flow = asked.flow AND digest.vantage_id = asked.vantage_id
    ORDER BY time_ns
    LIMIT 16)
) AS segment
