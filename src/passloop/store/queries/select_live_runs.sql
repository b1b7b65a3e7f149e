SELECT id, name, group_name, submitted_at FROM runs WHERE id IN (
    SELECT run FROM tasks
    WHERE state IN ('waiting', 'held', 'backoff', 'ready', 'admitted', 'running', 'stopping'))
ORDER BY id
