DELETE FROM runs WHERE id IN (SELECT value FROM json_each(?)) AND NOT EXISTS (SELECT 1 FROM tasks WHERE tasks.run = runs.id)
