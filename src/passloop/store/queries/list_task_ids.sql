SELECT tasks.id FROM tasks WHERE {conditions} ORDER BY tasks.id
