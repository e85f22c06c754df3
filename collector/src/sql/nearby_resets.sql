-- RSTs of any flow at vantages in stretches of time, those nearest to one end. $1 vantages, $2 after which moment, $3 up to
-- which, $4 whether counted from the late end, $5 how many at most (five columns of one table), $6 and $7 first and last day.
-- Uses digest_resets_by_time.
SELECT asked.n AS asked, found.*
FROM unnest($1::integer[], $2::bigint[], $3::bigint[], $4::boolean[], $5::bigint[])
    WITH ORDINALITY AS asked (vantage_id, after_ns, until_ns, backwards, most, n)
CROSS JOIN LATERAL (
    (SELECT vantage_id, run_id, number, time_ns, seq, ack, payload_len, option_order, sport, dport, win, flags, ttl,
        traffic_class, marks, interface, src, dst, payload_hash, ts_value, ts_echo, ip_id, mss, window_scale,
        vlan_outer, vlan_inner, link_source, sack_left, sack_right, tunnel_kind, tunnel_depth, tunnel_src, tunnel_dst,
        tunnel_id, rst_reason
    FROM digest
    WHERE (day = 0 OR day BETWEEN $6 AND $7) AND NOT asked.backwards AND digest.vantage_id = asked.vantage_id AND (flags & 4) <> 0 AND sport >= 0
        AND time_ns > asked.after_ns AND time_ns <= asked.until_ns
    ORDER BY time_ns
    LIMIT asked.most)
    UNION ALL
    (SELECT vantage_id, run_id, number, time_ns, seq, ack, payload_len, option_order, sport, dport, win, flags, ttl,
        traffic_class, marks, interface, src, dst, payload_hash, ts_value, ts_echo, ip_id, mss, window_scale,
        vlan_outer, vlan_inner, link_source, sack_left, sack_right, tunnel_kind, tunnel_depth, tunnel_src, tunnel_dst,
        tunnel_id, rst_reason
    FROM digest
    WHERE (day = 0 OR day BETWEEN $6 AND $7) AND asked.backwards AND digest.vantage_id = asked.vantage_id AND (flags & 4) <> 0 AND sport >= 0
        AND time_ns > asked.after_ns AND time_ns <= asked.until_ns
    ORDER BY time_ns DESC
    LIMIT asked.most)
) AS found
