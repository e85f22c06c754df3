-- Which segments travel: samples, changes within a run, and what the operator wants; and what it costs.
ALTER TABLE run
    DROP CONSTRAINT run_selection_check,
    ADD CONSTRAINT run_selection_check CHECK (selection IN ('all', 'context', 'sampled')),
    ADD COLUMN sample_one_in   bigint NOT NULL DEFAULT 0,
    ADD COLUMN sent_octets     bigint NOT NULL DEFAULT 0,
    ADD COLUMN observed_octets bigint NOT NULL DEFAULT 0,
    ADD CONSTRAINT run_sample_check CHECK ((selection = 'sampled') = (sample_one_in > 0));
COMMENT ON COLUMN run.selection IS 'The least that the agent shipped at any time of the run: all, sampled (context and a consistent sample), or context (around resets only)';
COMMENT ON COLUMN run.sample_one_in IS 'Of which one segment in so many is the sample; 0: none';
COMMENT ON COLUMN run.sent_octets IS 'Octets written to collectors, as the agent counts them; 0: not known';
COMMENT ON COLUMN run.observed_octets IS 'Octets of the packets captured, as long as on the wire; 0: not known';

CREATE TABLE selection_change (
    run_id        integer NOT NULL,
    from_ns       bigint  NOT NULL,
    vantage_id    integer NOT NULL,
    selection     text    NOT NULL,
    sample_one_in bigint  NOT NULL,
    CONSTRAINT selection_change_pkey PRIMARY KEY (run_id, from_ns),
    CONSTRAINT selection_change_selection_check CHECK (selection IN ('all', 'context', 'sampled'))
);
COMMENT ON TABLE selection_change IS 'What runs shipped from when on, of those that changed it';
COMMENT ON COLUMN selection_change.run_id IS 'run.id';
COMMENT ON COLUMN selection_change.from_ns IS 'By the vantage''s clock; 0: from the run''s start on';

CREATE TABLE policy (
    vantage       text   NOT NULL CONSTRAINT policy_pkey PRIMARY KEY,
    selection     text   NOT NULL,
    sample_one_in bigint NOT NULL,
    CONSTRAINT policy_selection_check CHECK (selection IN ('all', 'context', 'sampled')),
    CONSTRAINT policy_sample_check CHECK ((selection = 'sampled') = (sample_one_in > 0))
);
COMMENT ON TABLE policy IS 'What agents are told to ship, from connected collectors at once (NOTIFY parallax_policy)';
COMMENT ON COLUMN policy.vantage IS 'The vantage''s name; empty: every vantage that has no row of its own';
