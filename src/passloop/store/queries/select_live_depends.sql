SELECT DISTINCT depends FROM tasks
WHERE state IN ('waiting', 'held', 'backoff', 'ready', 'admitted', 'running', 'stopping') AND depends <> '[]'
