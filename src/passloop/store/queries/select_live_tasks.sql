SELECT * FROM tasks
WHERE state IN ('waiting', 'held', 'backoff', 'ready', 'admitted', 'running', 'stopping')
ORDER BY id
