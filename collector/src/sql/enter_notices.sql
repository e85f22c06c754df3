-- Enters for a sink ($1) what it was not told yet, and gives up what is too old ($2 seconds) or too much: the oldest beyond
-- $3. Tells how many were given up.
WITH entered AS (
    INSERT INTO notice (sink, episode, between_a, between_b, resets, cause, example, began_at)
    SELECT $1, episode, between_a, between_b, resets, cause, example, began_at
    FROM injection
    WHERE quiet_at IS NULL
    ON CONFLICT (sink, episode) DO NOTHING
), waiting AS (
    SELECT episode, entered_at, row_number() OVER (ORDER BY entered_at DESC, episode) AS place
    FROM notice
    WHERE sink = $1 AND ended_at IS NULL
), given_up AS (
    UPDATE notice
    SET ended_at = now()
    FROM waiting
    WHERE notice.sink = $1 AND notice.episode = waiting.episode AND notice.ended_at IS NULL
        AND (waiting.place > $3 OR waiting.entered_at < now() - make_interval(secs => $2))
    RETURNING notice.episode
)
SELECT count(*) FROM given_up
