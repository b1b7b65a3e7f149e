DELETE FROM cells WHERE task IN (SELECT value FROM json_each(?))
