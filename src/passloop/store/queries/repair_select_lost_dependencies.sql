-- Tasks that may still wait for others, each with the first of these that has no row: nobody knows how that ended.
SELECT tasks.id, min(json_extract(named.value, '$[0]')) FROM tasks JOIN json_each(tasks.depends) AS named
WHERE tasks.state IN ('waiting', 'held') AND json_extract(named.value, '$[0]') NOT IN (SELECT id FROM tasks)
GROUP BY tasks.id
