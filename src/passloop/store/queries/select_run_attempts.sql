SELECT attempts.* FROM tasks CROSS JOIN attempts ON attempts.task = tasks.id
WHERE tasks.run = ?
ORDER BY attempts.id
