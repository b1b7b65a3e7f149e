INSERT INTO task_groups (name, virtual_time, held) VALUES (?1, ?2, ?3)
ON CONFLICT (name) DO UPDATE SET virtual_time = ?2, held = ?3
