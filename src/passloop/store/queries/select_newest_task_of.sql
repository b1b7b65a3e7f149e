SELECT max(id) FROM tasks WHERE run = ?
