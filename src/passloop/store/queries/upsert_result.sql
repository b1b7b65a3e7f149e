INSERT INTO results (task, body) VALUES (?1, ?2)
ON CONFLICT (task) DO UPDATE SET body = ?2
