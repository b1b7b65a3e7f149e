SELECT run FROM sources WHERE kind = ? ORDER BY run
