-- RSTs of any flow at each asked vantage near a moment. $1 vantages, $2 moments (two columns of one table), $3
-- nanoseconds before and after (NEIGHBOURS_WITHIN in core/src/evidence.rs), $4 how many are kept each way (RESETS_MAX).
-- $5 and $6 first and last day. Uses digest_resets_by_time.
SELECT asked.n AS asked, rst.*
FROM unnest($1::integer[], $2::bigint[]) WITH ORDINALITY AS asked (vantage_id, moment, n)
CROSS JOIN LATERAL (
    (SELECT vantage_id, run_id, number, time_ns, seq, ack, payload_len, option_order, sport, dport, win, flags, ttl,
        traffic_class, marks, interface, src, dst, payload_hash, ts_value, ts_echo, ip_id, mss, window_scale,
        vlan_outer, vlan_inner, link_source, sack_left, sack_right, tunnel_kind, tunnel_depth, tunnel_src, tunnel_dst,
        tunnel_id, rst_reason
    FROM digest
    WHERE (day = 0 OR day BETWEEN $5 AND $6) AND digest.vantage_id = asked.vantage_id AND (flags & 4) <> 0
        AND time_ns BETWEEN asked.moment - $3::bigint AND asked.moment
    ORDER BY time_ns DESC
    LIMIT $4::bigint)
    UNION ALL
    (SELECT vantage_id, run_id, number, time_ns, seq, ack, payload_len, option_order, sport, dport, win, flags, ttl,
        traffic_class, marks, interface, src, dst, payload_hash, ts_value, ts_echo, ip_id, mss, window_scale,
        vlan_outer, vlan_inner, link_source, sack_left, sack_right, tunnel_kind, tunnel_depth, tunnel_src, tunnel_dst,
        tunnel_id, rst_reason
    FROM digest
    WHERE (day = 0 OR day BETWEEN $5 AND $6) AND digest.vantage_id = asked.vantage_id AND (flags & 4) <> 0
        AND time_ns > asked.moment AND time_ns <= asked.moment + $3::bigint
    ORDER BY time_ns
    LIMIT $4::bigint)
) AS rst
