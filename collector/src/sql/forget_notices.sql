-- Forgets places that have been quiet for $1 seconds, and what was told of episodes that are over.
WITH forgotten AS (
    DELETE FROM injection WHERE quiet_at < now() - make_interval(secs => $1)
)
DELETE FROM notice
WHERE ended_at < now() - make_interval(secs => $1)
    AND NOT EXISTS (SELECT FROM injection WHERE injection.episode = notice.episode AND injection.quiet_at IS NULL)
