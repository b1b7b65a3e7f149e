-- The conditions are the fixed texts in filters.py. The choice comes first, so that only its rows are joined.
SELECT tasks.*, runs.name, payloads.body, results.body, attempts.*
FROM tasks
LEFT JOIN runs ON runs.id = tasks.run
LEFT JOIN payloads ON payloads.task = tasks.id
LEFT JOIN results ON results.task = tasks.id
LEFT JOIN attempts ON attempts.id = (
    SELECT latest.id FROM attempts AS latest WHERE latest.task = tasks.id ORDER BY latest.epoch DESC LIMIT 1)
WHERE tasks.id IN (SELECT tasks.id FROM tasks WHERE {conditions} ORDER BY tasks.id DESC LIMIT :limit)
ORDER BY tasks.id
