-- What a digest says of the tunnel that its segment travelled in, and of the data that its receiver acknowledges out
-- of order. Null without them, as in most rows: a null takes no room but its bit.
ALTER TABLE digest
    ADD COLUMN sack_left    bigint,
    ADD COLUMN sack_right   bigint,
    ADD COLUMN tunnel_kind  smallint,
    ADD COLUMN tunnel_depth smallint,
    ADD COLUMN tunnel_src   inet,
    ADD COLUMN tunnel_dst   inet,
    ADD COLUMN tunnel_id    bigint;
COMMENT ON COLUMN digest.sack_left IS 'Left edge of the first SACK block (RFC 2018), 0 to 2^32-1; null: no such option';
COMMENT ON COLUMN digest.sack_right IS 'Its right edge; null exactly where sack_left is';
COMMENT ON COLUMN digest.tunnel_kind IS 'The innermost tunnel around: 1 VXLAN, 2 GENEVE, 3 GRE, 4 IP in IP, 5 GTP-U, 6 MPLS, 7 PPPoE; null: none';
COMMENT ON COLUMN digest.tunnel_depth IS 'Tunnels inside each other, from 1 on; null exactly where tunnel_kind is';
COMMENT ON COLUMN digest.tunnel_src IS 'Source of the nearest IP header around; null: the tunnel lies on the link, or there is none';
COMMENT ON COLUMN digest.tunnel_dst IS 'Its destination; null exactly where tunnel_src is';
COMMENT ON COLUMN digest.tunnel_id IS 'VNI, GRE key, TEID, label at the bottom of the stack, PPPoE session; null: it has none';
