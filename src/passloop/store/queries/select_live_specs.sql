SELECT id, body FROM specs WHERE id IN (
    SELECT spec FROM tasks
    WHERE state IN ('waiting', 'held', 'backoff', 'ready', 'admitted', 'running', 'stopping')
    UNION
    SELECT spec FROM tasks WHERE id IN (SELECT task FROM attempts WHERE attempts.state <> 'ended'))
