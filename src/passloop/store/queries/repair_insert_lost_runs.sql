INSERT INTO runs (id, name, group_name, submitted_at, about)
SELECT run, 'lost-' || run, min(group_name), min(submitted_at), '{}' FROM tasks
WHERE run NOT IN (SELECT id FROM runs)
GROUP BY run
