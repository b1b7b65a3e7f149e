SELECT * FROM sources WHERE run IN (SELECT value FROM json_each(?))
