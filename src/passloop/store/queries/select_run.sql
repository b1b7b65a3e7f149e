SELECT id, name, group_name, submitted_at, about FROM runs WHERE id = ?
