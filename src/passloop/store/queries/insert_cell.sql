INSERT INTO cells (task, unit, node) VALUES (?, ?, ?)
