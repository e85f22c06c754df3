-- One TCP segment at one vantage. Written by binary COPY only, in this order of columns. It is stored once because
-- run.committed moves in the same transaction: a unique key would cost more than the rows.
CREATE TABLE digest (
    flow          bigint   NOT NULL,
    time_ns       bigint   NOT NULL,
    number        bigint   NOT NULL,
    seq           bigint   NOT NULL,
    ack           bigint   NOT NULL,
    payload_len   bigint   NOT NULL,
    option_order  bigint   NOT NULL,
    vantage_id    integer  NOT NULL,
    run_id        integer  NOT NULL,
    sport         integer  NOT NULL,
    dport         integer  NOT NULL,
    win           integer  NOT NULL,
    flags         smallint NOT NULL,
    ttl           smallint NOT NULL,
    traffic_class smallint NOT NULL,
    marks         smallint NOT NULL,
    interface     smallint NOT NULL,
    src           inet     NOT NULL,
    dst           inet     NOT NULL,
    payload_hash  bigint,
    ts_value      bigint,
    ts_echo       bigint,
    ip_id         integer,
    mss           integer,
    window_scale  smallint,
    vlan_outer    integer,
    vlan_inner    integer,
    link_source   macaddr
);
COMMENT ON TABLE digest IS 'TCP segments as vantages saw them; no payload';
COMMENT ON COLUMN digest.flow IS 'xxh3-64 of the 4-tuple without direction: the key of the join and of distribution';
COMMENT ON COLUMN digest.time_ns IS 'Capture time, Unix nanoseconds by the vantage''s clock';
COMMENT ON COLUMN digest.number IS 'Counts from 0 within the run';
COMMENT ON COLUMN digest.seq IS 'Sequence number as carried, 0 to 2^32-1';
COMMENT ON COLUMN digest.ack IS 'Acknowledgement field as carried, also without the ACK flag';
COMMENT ON COLUMN digest.payload_len IS 'Payload octets by the IP header';
COMMENT ON COLUMN digest.option_order IS 'TCP option kinds, four bits each, first lowest; bit pattern of an unsigned number';
COMMENT ON COLUMN digest.run_id IS 'run.id';
COMMENT ON COLUMN digest.win IS 'Window field as carried, not scaled';
COMMENT ON COLUMN digest.flags IS 'TCP flag bits: FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32, ECE 64, CWR 128, NS 256';
COMMENT ON COLUMN digest.ttl IS 'TTL or hop limit';
COMMENT ON COLUMN digest.traffic_class IS 'TOS octet or traffic class';
COMMENT ON COLUMN digest.marks IS 'Bit 0 don''t fragment, 1 first fragment, 2 options cut, 3 SACK permitted, 4-5 direction (0 unknown, 1 in, 2 out)';
COMMENT ON COLUMN digest.interface IS 'Index of the interface within the run';
COMMENT ON COLUMN digest.payload_hash IS 'xxh3-64 of the first 32 payload octets, bit pattern of an unsigned number; null: none';
COMMENT ON COLUMN digest.ts_value IS 'TCP timestamp (RFC 7323); null: no such option';
COMMENT ON COLUMN digest.ts_echo IS 'Echoed TCP timestamp; null exactly where ts_value is';
COMMENT ON COLUMN digest.ip_id IS 'IPv4 identification; null: IPv6';
COMMENT ON COLUMN digest.link_source IS 'Source MAC address; null: the link type has none';
