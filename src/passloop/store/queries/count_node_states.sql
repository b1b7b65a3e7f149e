-- The tasks of a run's source by node and state, and how many of them succeeded since a time.
SELECT cells.node, tasks.state, count(*), sum(tasks.state = 'succeeded' AND tasks.ended_at > :since)
FROM tasks JOIN cells ON cells.task = tasks.id
WHERE tasks.run = :run
GROUP BY cells.node, tasks.state
