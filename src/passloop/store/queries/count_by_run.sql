SELECT run, state, count(*) FROM tasks
WHERE run IN (SELECT value FROM json_each(?))
GROUP BY run, state
