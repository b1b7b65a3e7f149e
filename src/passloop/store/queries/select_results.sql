SELECT task, body FROM results WHERE task IN (SELECT value FROM json_each(?))
