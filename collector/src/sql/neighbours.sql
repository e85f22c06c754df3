-- What else went in neighbouring flows, near a moment. $1 posts, $2 neighbouring flows, $3 vantages, $4 moments (four
-- columns of one table), $5 nanoseconds before and after the moment (NEIGHBOURS_WITHIN in core/src/evidence.rs), $6 how
-- many are kept of all neighbours of a post together (NEIGHBOURS_MAX), $7 and $8 first and last day. Uses digest_by_flow.
SELECT *
FROM (
    SELECT asked.post AS asked, segment.*,
        row_number() OVER (PARTITION BY asked.post ORDER BY abs(segment.time_ns - asked.moment), segment.time_ns) AS place
    FROM unnest($1::bigint[], $2::bigint[], $3::integer[], $4::bigint[]) AS asked (post, flow, vantage_id, moment)
    -- No flow can give more than are kept. Handshake segments (SYN without RST) are there already.
    CROSS JOIN LATERAL (
        (SELECT vantage_id, run_id, number, time_ns, seq, ack, payload_len, option_order, sport, dport, win, flags, ttl,
        traffic_class, marks, interface, src, dst, payload_hash, ts_value, ts_echo, ip_id, mss, window_scale,
        vlan_outer, vlan_inner, link_source, sack_left, sack_right, tunnel_kind, tunnel_depth, tunnel_src, tunnel_dst,
        tunnel_id, rst_reason
        FROM digest
        WHERE (day = 0 OR day BETWEEN $7 AND $8) AND digest.flow = asked.flow AND digest.vantage_id = asked.vantage_id AND (flags & 6) <> 2
            AND time_ns BETWEEN asked.moment - $5::bigint AND asked.moment
        ORDER BY time_ns DESC
        LIMIT $6::bigint)
        UNION ALL
        (SELECT vantage_id, run_id, number, time_ns, seq, ack, payload_len, option_order, sport, dport, win, flags, ttl,
        traffic_class, marks, interface, src, dst, payload_hash, ts_value, ts_echo, ip_id, mss, window_scale,
        vlan_outer, vlan_inner, link_source, sack_left, sack_right, tunnel_kind, tunnel_depth, tunnel_src, tunnel_dst,
        tunnel_id, rst_reason
        FROM digest
        WHERE (day = 0 OR day BETWEEN $7 AND $8) AND digest.flow = asked.flow AND digest.vantage_id = asked.vantage_id AND (flags & 6) <> 2
            AND time_ns > asked.moment AND time_ns <= asked.moment + $5::bigint
        ORDER BY time_ns
        LIMIT $6::bigint)
    ) AS segment
) AS candidate
WHERE place <= $6::bigint
