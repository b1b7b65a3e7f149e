-- Tasks that were not final at some time from :since to :until, newest first.
SELECT id, state, submitted_at, ended_at, spec, depends FROM tasks
WHERE submitted_at < :until AND coalesce(ended_at, :until) > :since
ORDER BY id DESC
LIMIT :limit
