UPDATE tasks SET state = 'held', held = 1, reservation = NULL, head_since = NULL, message = ? WHERE id = ?
