SELECT * FROM journal WHERE seq > ? ORDER BY seq LIMIT ?
