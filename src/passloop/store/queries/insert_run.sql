INSERT INTO runs (id, name, group_name, submitted_at, about) VALUES (?, ?, ?, ?, ?)
