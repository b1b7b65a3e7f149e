DELETE FROM durations WHERE id IN (
    SELECT id FROM (
        SELECT id, row_number() OVER (PARTITION BY task_class, program ORDER BY id DESC) AS age FROM durations)
    WHERE age > 1000)
