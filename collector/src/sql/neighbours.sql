-- What else went in neighbouring flows, within ten seconds of a moment (NEIGHBOURS_WITHIN in core/src/evidence.rs).
-- $1 neighbouring flows, $2 vantages, $3 moments (three columns of one table). Uses digest_by_flow.
SELECT asked.n AS asked, segment.*
FROM unnest($1::bigint[], $2::integer[], $3::bigint[]) WITH ORDINALITY AS asked (flow, vantage_id, moment, n)
CROSS JOIN LATERAL (
    SELECT vantage_id, run_id, number, time_ns, seq, ack, payload_len, option_order, sport, dport, win, flags, ttl,
        traffic_class, marks, interface, src, dst, payload_hash, ts_value, ts_echo, ip_id, mss, window_scale,
        vlan_outer, vlan_inner, link_source
    FROM digest
    WHERE digest.flow = asked.flow AND digest.vantage_id = asked.vantage_id
        AND time_ns BETWEEN asked.moment - 10000000000 AND asked.moment + 10000000000
        -- Handshake segments are there already.
        AND (flags & 6) <> 2
    -- No more than are kept of all neighbours together: NEIGHBOURS_MAX.
    ORDER BY abs(time_ns - asked.moment)
    LIMIT 256
) AS segment
