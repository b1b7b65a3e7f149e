SELECT task_class AS name, CAST(avg(millis) AS INTEGER) FROM durations GROUP BY task_class
UNION ALL
SELECT program AS name, CAST(avg(millis) AS INTEGER) FROM durations GROUP BY program
