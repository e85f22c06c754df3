-- Which vantages saw each RST, across a NAT, from the fields that tshark printed for each of them.
.once /dev/null
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;

CREATE TABLE v1 (time REAL, src4 TEXT, dst4 TEXT, src6 TEXT, dst6 TEXT, sport INT, dport INT,
                 seq INT, ack INT, flags TEXT, len INT);
CREATE TABLE v2 AS SELECT * FROM v1;
CREATE TABLE v3 AS SELECT * FROM v1;
.mode tabs
.import v1.tsv v1
.import v2.tsv v2
.import v3.tsv v3

-- One table of all segments, IPv4 and IPv6 alike. The low nibble of the flags: FIN 1, SYN 2, RST 4, PSH 8; the
-- next one begins with ACK.
CREATE TABLE segment AS
SELECT vantage, time, src4 || src6 AS src, CAST(sport AS INT) AS sport, dst4 || dst6 AS dst,
       CAST(dport AS INT) AS dport, CAST(seq AS INT) AS seq, CAST(ack AS INT) AS ack,
       instr('0123456789abcdef', substr(flags, -1)) - 1 AS low,
       (instr('0123456789abcdef', substr(flags, -2, 1)) - 1) & 1 AS acks
FROM (SELECT 'v1' AS vantage, * FROM v1
      UNION ALL SELECT 'v2', * FROM v2
      UNION ALL SELECT 'v3', * FROM v3);

-- A connection's name at a vantage, client first, and what a NAT leaves alone: the client's initial number, from
-- the SYN or, where that was not captured, from its answer.
CREATE TABLE opening AS
SELECT vantage, src AS client, sport AS cport, dst AS server, dport, seq AS initial
FROM segment WHERE low & 2 AND NOT acks
UNION
SELECT vantage, dst, dport, src, sport, (ack - 1) & 4294967295
FROM segment WHERE low & 2 AND acks;
CREATE INDEX opening_by_name ON opening (vantage, client, cport, server, dport);

-- Every RST with its connection. One whose handshake the vantage missed goes by its own numbers alone.
CREATE TABLE sighting AS
SELECT r.vantage, r.src = o.server AND r.sport = o.dport AS from_server, r.seq, r.ack, r.acks, o.initial
FROM segment r
JOIN opening o ON o.vantage = r.vantage
     AND ((o.client = r.src AND o.cport = r.sport AND o.server = r.dst AND o.dport = r.dport)
       OR (o.client = r.dst AND o.cport = r.dport AND o.server = r.src AND o.dport = r.sport))
WHERE r.low & 4
UNION ALL
SELECT r.vantage, r.sport < r.dport, r.seq, r.ack, r.acks, NULL
FROM segment r
WHERE r.low & 4 AND NOT EXISTS (
    SELECT 1 FROM opening o WHERE o.vantage = r.vantage
     AND ((o.client = r.src AND o.cport = r.sport AND o.server = r.dst AND o.dport = r.dport)
       OR (o.client = r.dst AND o.cport = r.dport AND o.server = r.src AND o.dport = r.sport)));

-- The same packet at several vantages: the same connection and numbers.
.mode list
.separator |
SELECT s.from_server, s.seq, CASE WHEN s.acks THEN s.ack END, group_concat(DISTINCT s.vantage)
FROM sighting s
GROUP BY coalesce(s.initial, (SELECT t.initial FROM sighting t
                              WHERE t.seq = s.seq AND t.ack = s.ack AND t.initial IS NOT NULL LIMIT 1)),
         s.from_server, s.seq, s.acks, s.ack;
