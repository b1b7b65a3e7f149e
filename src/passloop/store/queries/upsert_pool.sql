INSERT INTO pools (name, kind, state) VALUES (?1, ?2, ?3)
ON CONFLICT (name) DO UPDATE SET kind = ?2, state = ?3
