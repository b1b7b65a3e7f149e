SELECT body FROM environments WHERE id = ?
