-- Tasks with a live attempt, all of them or those that are named. What lives goes on and ends as it ends; nothing is
-- started again for it.
UPDATE tasks SET held = 1, message = ?
WHERE state IN ('admitted', 'running', 'stopping') AND (? OR id IN (SELECT value FROM json_each(?)))
    AND id IN (SELECT task FROM attempts WHERE attempts.state IN ('admitted', 'running', 'stopping'))
RETURNING id
