INSERT OR REPLACE INTO limit_steps (pool, at, gate, most) VALUES (?, ?, ?, ?)
