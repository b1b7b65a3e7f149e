SELECT task_class, program, millis FROM (
    SELECT id, task_class, program, millis, row_number() OVER (PARTITION BY task_class, program ORDER BY id DESC) AS age FROM durations)
WHERE age <= 1000
ORDER BY id
