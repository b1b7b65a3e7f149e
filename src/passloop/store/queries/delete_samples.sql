DELETE FROM samples WHERE attempt IN (
    SELECT id FROM attempts WHERE task IN (SELECT value FROM json_each(?)))
