-- Of these tasks those that are of runs of sources of these kinds: how each stands, how often it was tried, its key.
SELECT tasks.id, tasks.state, tasks.attempts, tasks.key
FROM json_each(:tasks) AS asked
CROSS JOIN tasks ON tasks.id = asked.value
JOIN sources ON sources.run = tasks.run
WHERE sources.kind IN (SELECT value FROM json_each(:kinds))
