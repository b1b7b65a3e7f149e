SELECT tasks.id, tasks.state, tasks.priority, coalesce(tasks.ended_at, 0)
FROM tasks LEFT JOIN payloads ON payloads.task = tasks.id
WHERE {conditions} AND ({text})
ORDER BY tasks.id
