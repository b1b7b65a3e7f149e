-- Attempts that were under way at some time from :since to :until, newest first.
SELECT attempts.*, tasks.run, tasks.state, payloads.body ->> 'name', payloads.body ->> 'command[0]'
FROM attempts
JOIN tasks ON tasks.id = attempts.task
LEFT JOIN payloads ON payloads.task = attempts.task
WHERE attempts.admitted_at < :until AND coalesce(attempts.ended_at, :until) > :since
ORDER BY attempts.id DESC
LIMIT :limit
