-- What the calls of a run's source spent, by node: tokens in and out, as their answers tell.
SELECT cells.node, sum(results.body ->> '$.spent[0]'), sum(results.body ->> '$.spent[1]')
FROM tasks JOIN cells ON cells.task = tasks.id JOIN results ON results.task = tasks.id
WHERE tasks.run = ?
GROUP BY cells.node
