-- SYN+ACK from one endpoint at vantages in stretches of time, those nearest to one end. $1 vantages, $2 and $3 the
-- endpoint's address and port, $4 whose are left out of those nearest, $5 after which moment, $6 up to which, $7 whether counted
-- from the late end (seven columns of one table), $8 how many are looked at of each, $9 and $10 first and last day. Uses
-- digest_accepts.
SELECT asked.n AS asked, found.*
FROM unnest($1::integer[], $2::inet[], $3::integer[], $4::inet[], $5::bigint[], $6::bigint[], $7::boolean[])
    WITH ORDINALITY AS asked (vantage_id, addr, port, without, after_ns, until_ns, backwards, n)
CROSS JOIN LATERAL (
    (SELECT vantage_id, run_id, number, time_ns, seq, ack, payload_len, option_order, sport, dport, win, flags, ttl,
        traffic_class, marks, interface, src, dst, payload_hash, ts_value, ts_echo, ip_id, mss, window_scale,
        vlan_outer, vlan_inner, link_source, sack_left, sack_right, tunnel_kind, tunnel_depth, tunnel_src, tunnel_dst,
        tunnel_id, rst_reason
    FROM digest
    WHERE (day = 0 OR day BETWEEN $9 AND $10) AND NOT asked.backwards AND digest.vantage_id = asked.vantage_id AND (flags & 22) = 18 AND sport >= 0
        AND src = asked.addr AND sport = asked.port
        AND time_ns > asked.after_ns AND time_ns <= asked.until_ns
    ORDER BY time_ns
    LIMIT $8::bigint)
    UNION ALL
    (SELECT vantage_id, run_id, number, time_ns, seq, ack, payload_len, option_order, sport, dport, win, flags, ttl,
        traffic_class, marks, interface, src, dst, payload_hash, ts_value, ts_echo, ip_id, mss, window_scale,
        vlan_outer, vlan_inner, link_source, sack_left, sack_right, tunnel_kind, tunnel_depth, tunnel_src, tunnel_dst,
        tunnel_id, rst_reason
    FROM digest
    WHERE (day = 0 OR day BETWEEN $9 AND $10) AND asked.backwards AND digest.vantage_id = asked.vantage_id AND (flags & 22) = 18 AND sport >= 0
        AND src = asked.addr AND sport = asked.port
        AND time_ns > asked.after_ns AND time_ns <= asked.until_ns
    ORDER BY time_ns DESC
    LIMIT $8::bigint)
) AS found
WHERE asked.without IS NULL OR found.dst <> asked.without
