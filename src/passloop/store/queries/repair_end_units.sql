-- A unit is over when all its tasks are final, and not before.
UPDATE units SET ended_at = CASE
    WHEN EXISTS (
        SELECT 1 FROM cells JOIN tasks ON tasks.id = cells.task
        WHERE tasks.run = units.run AND cells.unit = units.unit
            AND tasks.state IN ('waiting', 'held', 'backoff', 'ready', 'admitted', 'running', 'stopping'))
    THEN NULL
    ELSE coalesce(ended_at, expanded_at) END
