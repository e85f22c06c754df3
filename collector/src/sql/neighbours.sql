-- What else went in neighbouring flows, near a moment. $1 posts, $2 neighbouring flows, $3 vantages, $4 moments (four
-- columns of one table), $5 nanoseconds before and after the moment (NEIGHBOURS_WITHIN in core/src/evidence.rs), $6 how
-- many are kept of all neighbours of a post together (NEIGHBOURS_MAX): no flow gives more. Uses digest_by_flow.
SELECT asked.post AS asked, segment.*
FROM unnest($1::bigint[], $2::bigint[], $3::integer[], $4::bigint[]) AS asked (post, flow, vantage_id, moment)
CROSS JOIN LATERAL (
    SELECT vantage_id, run_id, number, time_ns, seq, ack, payload_len, option_order, sport, dport, win, flags, ttl,
        traffic_class, marks, interface, src, dst, payload_hash, ts_value, ts_echo, ip_id, mss, window_scale,
        vlan_outer, vlan_inner, link_source
    FROM digest
    WHERE digest.flow = asked.flow AND digest.vantage_id = asked.vantage_id
        AND time_ns BETWEEN asked.moment - $5::bigint AND asked.moment + $5::bigint
        -- Handshake segments are there already.
        AND (flags & 6) <> 2
    ORDER BY abs(time_ns - asked.moment)
    LIMIT $6::bigint
) AS segment
