SELECT count(*) FROM tasks WHERE {conditions}
