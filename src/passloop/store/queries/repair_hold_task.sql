UPDATE tasks SET state = 'held', held = 1, stop_reason = '', reservation = NULL, head_since = NULL, message = ? WHERE id = ?
