SELECT task, unit, node FROM cells WHERE task IN (
    SELECT id FROM tasks
    WHERE state IN ('waiting', 'held', 'backoff', 'ready', 'admitted', 'running', 'stopping'))
