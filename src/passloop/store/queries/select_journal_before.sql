SELECT * FROM journal WHERE seq < ? ORDER BY seq DESC LIMIT ?
