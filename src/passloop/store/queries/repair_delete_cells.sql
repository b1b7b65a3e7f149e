DELETE FROM cells WHERE NOT EXISTS (
    SELECT 1 FROM tasks
    JOIN units ON units.run = tasks.run AND units.unit = cells.unit
    JOIN sources ON sources.run = tasks.run
    WHERE tasks.id = cells.task)
