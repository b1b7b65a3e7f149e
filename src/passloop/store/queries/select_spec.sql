SELECT body FROM specs WHERE id = ?
