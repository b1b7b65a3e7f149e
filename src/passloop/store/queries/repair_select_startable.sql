-- Live tasks without a live attempt, and whether their payload is there.
SELECT id, id IN (SELECT task FROM payloads) FROM tasks
WHERE state IN ('waiting', 'held', 'backoff', 'ready')
    OR (state IN ('admitted', 'running', 'stopping') AND id NOT IN (
        SELECT task FROM attempts WHERE attempts.state IN ('admitted', 'running', 'stopping')))
