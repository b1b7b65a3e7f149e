SELECT id FROM specs WHERE hash = ?
