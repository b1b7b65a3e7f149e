INSERT INTO payloads (task, body) SELECT id, '{}' FROM tasks WHERE id NOT IN (SELECT task FROM payloads)
