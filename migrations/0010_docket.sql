-- Flows to judge: entered in the transaction that stores their evidence, struck out when their resets are settled.
CREATE TABLE docket (
    flow     bigint NOT NULL CONSTRAINT docket_pkey PRIMARY KEY,
    evidence bigint NOT NULL DEFAULT 1
) WITH (fillfactor = 50);
COMMENT ON TABLE docket IS 'Flows whose resets are to be judged (again)';
COMMENT ON COLUMN docket.evidence IS 'Rises with each arrival of evidence, so that a judgement strikes out only what it knew';
