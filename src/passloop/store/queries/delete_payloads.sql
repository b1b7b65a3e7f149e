DELETE FROM payloads WHERE task IN (SELECT value FROM json_each(?))
