INSERT INTO payloads (task, body) VALUES (?, ?)
