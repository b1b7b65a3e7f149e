-- The runs of live tasks, and of final ones that a stray of theirs still holds something for.
SELECT id, name, group_name, submitted_at FROM runs WHERE id IN (
    SELECT run FROM tasks
    WHERE state IN ('waiting', 'held', 'backoff', 'ready', 'admitted', 'running', 'stopping')
    UNION
    SELECT run FROM tasks WHERE id IN (SELECT task FROM attempts WHERE attempts.state <> 'ended'))
ORDER BY id
