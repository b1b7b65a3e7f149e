-- An attempt that is not ended is newer than a row of its task that knows nothing of it.
UPDATE tasks SET state = (
    SELECT attempts.state FROM attempts
    WHERE attempts.task = tasks.id AND attempts.state IN ('admitted', 'running', 'stopping')
    ORDER BY epoch DESC LIMIT 1)
WHERE state IN ('waiting', 'held', 'backoff', 'ready') AND id IN (
    SELECT task FROM attempts WHERE attempts.state IN ('admitted', 'running', 'stopping'))
