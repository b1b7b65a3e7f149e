SELECT id, body FROM specs WHERE id IN (
    SELECT spec FROM tasks
    WHERE state IN ('waiting', 'held', 'backoff', 'ready', 'admitted', 'running', 'stopping'))
