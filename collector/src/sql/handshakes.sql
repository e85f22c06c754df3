-- Handshakes of other flows near the asked ones, at each vantage around a moment: between the flow's two addresses,
-- and accepted by either of its endpoints. $1 flows, $2 vantages, $3 moments, $4 and $5 one endpoint, $6 and $7 the
-- other (seven columns of one table), $8 and $9 first and last day. Uses digest_handshakes and digest_accepts.
SELECT asked.n AS asked, handshake.*
FROM unnest($1::bigint[], $2::integer[], $3::bigint[], $4::inet[], $5::integer[], $6::inet[], $7::integer[])
    WITH ORDINALITY AS asked (flow, vantage_id, moment, one, one_port, two, two_port, n)
CROSS JOIN LATERAL (
    SELECT *
    FROM (
        -- Between the two addresses, before and after the moment.
        (SELECT vantage_id, run_id, number, time_ns, seq, ack, payload_len, option_order, sport, dport, win, flags, ttl,
        traffic_class, marks, interface, src, dst, payload_hash, ts_value, ts_echo, ip_id, mss, window_scale,
        vlan_outer, vlan_inner, link_source, sack_left, sack_right, tunnel_kind, tunnel_depth, tunnel_src, tunnel_dst,
        tunnel_id, rst_reason
        FROM digest
        WHERE (day = 0 OR day BETWEEN $8 AND $9) AND digest.vantage_id = asked.vantage_id AND (flags & 6) = 2
            AND LEAST(src, dst) = LEAST(asked.one, asked.two) AND GREATEST(src, dst) = GREATEST(asked.one, asked.two)
            AND time_ns <= asked.moment AND digest.flow <> asked.flow
        ORDER BY time_ns DESC
        LIMIT 64)
        UNION
        (SELECT vantage_id, run_id, number, time_ns, seq, ack, payload_len, option_order, sport, dport, win, flags, ttl,
        traffic_class, marks, interface, src, dst, payload_hash, ts_value, ts_echo, ip_id, mss, window_scale,
        vlan_outer, vlan_inner, link_source, sack_left, sack_right, tunnel_kind, tunnel_depth, tunnel_src, tunnel_dst,
        tunnel_id, rst_reason
        FROM digest
        WHERE (day = 0 OR day BETWEEN $8 AND $9) AND digest.vantage_id = asked.vantage_id AND (flags & 6) = 2
            AND LEAST(src, dst) = LEAST(asked.one, asked.two) AND GREATEST(src, dst) = GREATEST(asked.one, asked.two)
            AND time_ns > asked.moment AND digest.flow <> asked.flow
        ORDER BY time_ns
        LIMIT 64)
        UNION
        -- Accepted by one endpoint or the other, before and after the moment.
        SELECT accepted.*
        FROM (VALUES (asked.one, asked.one_port), (asked.two, asked.two_port)) AS endpoint (addr, port)
        CROSS JOIN LATERAL (
            (SELECT vantage_id, run_id, number, time_ns, seq, ack, payload_len, option_order, sport, dport, win, flags, ttl,
        traffic_class, marks, interface, src, dst, payload_hash, ts_value, ts_echo, ip_id, mss, window_scale,
        vlan_outer, vlan_inner, link_source, sack_left, sack_right, tunnel_kind, tunnel_depth, tunnel_src, tunnel_dst,
        tunnel_id, rst_reason
            FROM digest
            WHERE (day = 0 OR day BETWEEN $8 AND $9) AND digest.vantage_id = asked.vantage_id AND (flags & 22) = 18
                AND src = endpoint.addr AND sport = endpoint.port
                AND time_ns <= asked.moment AND digest.flow <> asked.flow
            ORDER BY time_ns DESC
            LIMIT 64)
            UNION ALL
            (SELECT vantage_id, run_id, number, time_ns, seq, ack, payload_len, option_order, sport, dport, win, flags, ttl,
        traffic_class, marks, interface, src, dst, payload_hash, ts_value, ts_echo, ip_id, mss, window_scale,
        vlan_outer, vlan_inner, link_source, sack_left, sack_right, tunnel_kind, tunnel_depth, tunnel_src, tunnel_dst,
        tunnel_id, rst_reason
            FROM digest
            WHERE (day = 0 OR day BETWEEN $8 AND $9) AND digest.vantage_id = asked.vantage_id AND (flags & 22) = 18
                AND src = endpoint.addr AND sport = endpoint.port
                AND time_ns > asked.moment AND digest.flow <> asked.flow
            ORDER BY time_ns
            LIMIT 64)
        ) AS accepted
    ) AS candidate
    -- The nearest in time; see NEARBY_MAX in core/src/evidence.rs.
    ORDER BY abs(candidate.time_ns - asked.moment), candidate.time_ns
    LIMIT 64
) AS handshake
