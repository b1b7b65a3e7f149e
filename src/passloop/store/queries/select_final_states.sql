SELECT id, state FROM tasks
WHERE id IN (SELECT value FROM json_each(?))
    AND state IN ('succeeded', 'failed', 'cancelled', 'aborted', 'rejected')
ORDER BY id
