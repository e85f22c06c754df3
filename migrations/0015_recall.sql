-- What collectors ask agents about connections with resets, and what agents' memories answered.
CREATE TABLE recall_question (
    id        bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT recall_question_pkey PRIMARY KEY,
    flow      bigint NOT NULL,
    question  bytea  NOT NULL,
    asked_at  timestamptz NOT NULL DEFAULT now(),
    until     timestamptz NOT NULL
);
COMMENT ON TABLE recall_question IS 'Questions to all agents; collectors tell each other by NOTIFY parallax_recall with the id';
COMMENT ON COLUMN recall_question.flow IS 'The flow with a reset that it is asked for';
COMMENT ON COLUMN recall_question.question IS 'Message parallax.v1.Recall without id, its times by the database''s clock';
COMMENT ON COLUMN recall_question.until IS 'Agents that connect before this are asked too';

-- Serves: sql/open_questions.sql, the questions that agents are still asked.
CREATE INDEX recall_question_open ON recall_question (until);

CREATE TABLE recall (
    flow               bigint  NOT NULL,
    run_id             integer NOT NULL,
    question           bigint  NOT NULL,
    vantage_id         integer NOT NULL,
    from_ns            bigint,
    until_ns           bigint,
    complete           boolean NOT NULL,
    held               bigint  NOT NULL,
    first_seen_ns      bigint,
    last_seen_ns       bigint,
    capturing_since_ns bigint  NOT NULL,
    horizon_ns         bigint  NOT NULL,
    dropped            bigint  NOT NULL,
    answered_at        timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT recall_pkey PRIMARY KEY (flow, run_id, question),
    CONSTRAINT recall_span_check CHECK ((from_ns IS NULL) = (until_ns IS NULL) AND from_ns <= until_ns),
    CONSTRAINT recall_complete_check CHECK (NOT complete OR from_ns IS NOT NULL)
);
COMMENT ON TABLE recall IS 'What a run''s memory held of a flow, by question; the latest answer';
COMMENT ON COLUMN recall.run_id IS 'run.id';
COMMENT ON COLUMN recall.question IS 'recall_question.id';
COMMENT ON COLUMN recall.from_ns IS 'First nanosecond that the answer speaks of, by the vantage''s clock; null: it knows nothing of the asked span';
COMMENT ON COLUMN recall.until_ns IS 'Last nanosecond that it speaks of';
COMMENT ON COLUMN recall.complete IS 'Every segment of the flow that the run recorded in that span is stored';
COMMENT ON COLUMN recall.held IS 'Segments of the flow in memory, at any time; 0: nothing held';
COMMENT ON COLUMN recall.capturing_since_ns IS 'When the run began to capture';
COMMENT ON COLUMN recall.horizon_ns IS 'How far back its memory reached';
COMMENT ON COLUMN recall.dropped IS 'Packets lost between wire and digest in the span';

-- Digests that came by recall: their numbers are not in the order of capture.
CREATE TABLE recall_batch (
    question     bigint  NOT NULL,
    run_id       integer NOT NULL,
    first_number bigint  NOT NULL,
    next_number  bigint  NOT NULL,
    CONSTRAINT recall_batch_pkey PRIMARY KEY (question, run_id, first_number),
    CONSTRAINT recall_batch_order_check CHECK (first_number < next_number)
);
COMMENT ON TABLE recall_batch IS 'Numbers of digests that answers brought; within one in the order of capture';
COMMENT ON COLUMN recall_batch.next_number IS 'The number after the last';
