-- A failed one goes on at a user's word alone, and keeps why it failed.
UPDATE sources SET held = 1, message = ?
WHERE state = 'open' AND run NOT IN (SELECT value FROM json_each(?))
RETURNING run
