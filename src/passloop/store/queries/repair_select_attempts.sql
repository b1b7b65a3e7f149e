SELECT id, run, attempts, message FROM tasks WHERE id IN (SELECT value FROM json_each(?))
