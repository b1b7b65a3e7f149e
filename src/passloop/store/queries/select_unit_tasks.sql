SELECT tasks.id FROM tasks CROSS JOIN cells ON cells.task = tasks.id
WHERE tasks.run = ? AND cells.unit = ?
ORDER BY tasks.id
