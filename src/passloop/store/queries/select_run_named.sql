SELECT id, name, group_name, submitted_at, about FROM runs WHERE name = ? ORDER BY id DESC LIMIT 1
