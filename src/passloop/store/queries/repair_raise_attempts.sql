UPDATE tasks SET attempts = ?, message = ? WHERE id = ?
