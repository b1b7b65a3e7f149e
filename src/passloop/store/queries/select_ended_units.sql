SELECT unit FROM units WHERE run = ? AND ended_at IS NOT NULL ORDER BY unit
