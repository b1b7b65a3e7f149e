UPDATE tasks SET attempts = (SELECT max(epoch) FROM attempts WHERE attempts.task = tasks.id)
WHERE attempts < (SELECT max(epoch) FROM attempts WHERE attempts.task = tasks.id)
