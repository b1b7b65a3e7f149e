DELETE FROM attempts WHERE task NOT IN (SELECT id FROM tasks)
