SELECT * FROM attempts WHERE task = ? ORDER BY epoch
