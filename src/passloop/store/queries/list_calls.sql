-- The calls of tasks whose keys are like a glob, as they were admitted. What was never sent has no start and was untried.
SELECT tasks.key, coalesce(attempts.started_at, attempts.admitted_at), attempts.ended_at,
    attempts.outcome ->> 'kind', attempts.outcome ->> 'status'
FROM tasks JOIN attempts ON attempts.task = tasks.id
WHERE tasks.key GLOB ?1 AND attempts.driver = 'calls' AND NOT coalesce(attempts.outcome ->> 'untried', 0)
ORDER BY attempts.id
