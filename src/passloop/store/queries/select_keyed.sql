SELECT tasks.key, tasks.id, tasks.state, results.body
FROM tasks JOIN (
    SELECT key, max(id) AS newest FROM tasks
    WHERE key IS NOT NULL AND key IN (SELECT value FROM json_each(?))
    GROUP BY key) ON tasks.id = newest
LEFT JOIN results ON results.task = tasks.id
