INSERT INTO units VALUES (?1, ?2, ?3, ?4, ?5, ?6)
ON CONFLICT (run, unit) DO UPDATE SET bytes = ?3, tasks = ?4, expanded_at = ?5, ended_at = ?6
