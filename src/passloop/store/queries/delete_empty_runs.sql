DELETE FROM runs WHERE id IN (SELECT value FROM json_each(?))
    AND NOT EXISTS (SELECT 1 FROM tasks WHERE tasks.run = runs.id)
    -- tasks may still come from its source
    AND NOT EXISTS (SELECT 1 FROM sources WHERE sources.run = runs.id AND (ended_at IS NULL OR state = 'failed'))
