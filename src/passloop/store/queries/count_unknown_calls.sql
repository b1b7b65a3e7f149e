SELECT count(*) FROM attempts JOIN tasks ON tasks.id = attempts.task
WHERE tasks.key GLOB ?1 AND attempts.driver = 'calls' AND attempts.outcome ->> 'message' = ?2
