-- What the calls of sources of one kind spent, by run and node: tokens in and out, of all and of those ended after a time.
SELECT tasks.run, cells.node,
    sum(results.body ->> '$.spent[0]'),
    sum(results.body ->> '$.spent[1]'),
    sum(iif(tasks.ended_at > :since, results.body ->> '$.spent[0]', 0)),
    sum(iif(tasks.ended_at > :since, results.body ->> '$.spent[1]', 0))
FROM sources
JOIN tasks ON tasks.run = sources.run
JOIN cells ON cells.task = tasks.id
JOIN results ON results.task = tasks.id
WHERE sources.kind = :kind
GROUP BY tasks.run, cells.node
