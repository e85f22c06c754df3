-- What else went in neighbouring flows at vantages in stretches of time, what is nearest to one end. $1 flows, $2 vantages,
-- $3 after which moment, $4 up to which, $5 whether counted from the late end (five columns of one table), $6 how many are
-- kept of each, $7 and $8 first and last day. Handshake segments (SYN without RST) are there already. Uses digest_by_flow.
SELECT asked.n AS asked, found.*
FROM unnest($1::bigint[], $2::integer[], $3::bigint[], $4::bigint[], $5::boolean[])
    WITH ORDINALITY AS asked (flow, vantage_id, after_ns, until_ns, backwards, n)
CROSS JOIN LATERAL (
    (SELECT vantage_id, run_id, number, time_ns, seq, ack, payload_len, option_order, sport, dport, win, flags, ttl,
        traffic_class, marks, interface, src, dst, payload_hash, ts_value, ts_echo, ip_id, mss, window_scale,
        vlan_outer, vlan_inner, link_source, sack_left, sack_right, tunnel_kind, tunnel_depth, tunnel_src, tunnel_dst,
        tunnel_id, rst_reason
    FROM digest
    WHERE (day = 0 OR day BETWEEN $7 AND $8) AND NOT asked.backwards AND digest.flow = asked.flow
        AND digest.vantage_id = asked.vantage_id AND (flags & 6) <> 2
        AND time_ns > asked.after_ns AND time_ns <= asked.until_ns
    ORDER BY time_ns
    LIMIT $6::bigint)
    UNION ALL
    (SELECT vantage_id, run_id, number, time_ns, seq, ack, payload_len, option_order, sport, dport, win, flags, ttl,
        traffic_class, marks, interface, src, dst, payload_hash, ts_value, ts_echo, ip_id, mss, window_scale,
        vlan_outer, vlan_inner, link_source, sack_left, sack_right, tunnel_kind, tunnel_depth, tunnel_src, tunnel_dst,
        tunnel_id, rst_reason
    FROM digest
    WHERE (day = 0 OR day BETWEEN $7 AND $8) AND asked.backwards AND digest.flow = asked.flow
        AND digest.vantage_id = asked.vantage_id AND (flags & 6) <> 2
        AND time_ns > asked.after_ns AND time_ns <= asked.until_ns
    ORDER BY time_ns DESC
    LIMIT $6::bigint)
) AS found
