DELETE FROM meta WHERE name = ?
