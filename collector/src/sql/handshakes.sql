-- SYN and SYN+ACK between two addresses at vantages in stretches of time, those nearest to one end. $1 vantages, $2 and $3
-- the addresses, $4 after which moment, $5 up to which, $6 whether counted from the late end, $7 how many at most (seven
-- columns of one table), $8 and $9 first and last day. Uses digest_handshakes.
SELECT asked.n AS asked, found.*
FROM unnest($1::integer[], $2::inet[], $3::inet[], $4::bigint[], $5::bigint[], $6::boolean[], $7::bigint[])
    WITH ORDINALITY AS asked (vantage_id, one, two, after_ns, until_ns, backwards, most, n)
CROSS JOIN LATERAL (
    (SELECT vantage_id, run_id, number, time_ns, seq, ack, payload_len, option_order, sport, dport, win, flags, ttl,
        traffic_class, marks, interface, src, dst, payload_hash, ts_value, ts_echo, ip_id, mss, window_scale,
        vlan_outer, vlan_inner, link_source, sack_left, sack_right, tunnel_kind, tunnel_depth, tunnel_src, tunnel_dst,
        tunnel_id, rst_reason
    FROM digest
    WHERE (day = 0 OR day BETWEEN $8 AND $9) AND NOT asked.backwards AND digest.vantage_id = asked.vantage_id AND (flags & 6) = 2 AND sport >= 0
        AND LEAST(src, dst) = LEAST(asked.one, asked.two) AND GREATEST(src, dst) = GREATEST(asked.one, asked.two)
        AND time_ns > asked.after_ns AND time_ns <= asked.until_ns
    ORDER BY time_ns
    LIMIT asked.most)
    UNION ALL
    (SELECT vantage_id, run_id, number, time_ns, seq, ack, payload_len, option_order, sport, dport, win, flags, ttl,
        traffic_class, marks, interface, src, dst, payload_hash, ts_value, ts_echo, ip_id, mss, window_scale,
        vlan_outer, vlan_inner, link_source, sack_left, sack_right, tunnel_kind, tunnel_depth, tunnel_src, tunnel_dst,
        tunnel_id, rst_reason
    FROM digest
    WHERE (day = 0 OR day BETWEEN $8 AND $9) AND asked.backwards AND digest.vantage_id = asked.vantage_id AND (flags & 6) = 2 AND sport >= 0
        AND LEAST(src, dst) = LEAST(asked.one, asked.two) AND GREATEST(src, dst) = GREATEST(asked.one, asked.two)
        AND time_ns > asked.after_ns AND time_ns <= asked.until_ns
    ORDER BY time_ns DESC
    LIMIT asked.most)
) AS found
