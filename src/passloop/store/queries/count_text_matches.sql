SELECT tasks.state, count(*), min(tasks.id), max(tasks.id)
FROM tasks LEFT JOIN payloads ON payloads.task = tasks.id
WHERE {conditions} AND ({text})
GROUP BY tasks.state
