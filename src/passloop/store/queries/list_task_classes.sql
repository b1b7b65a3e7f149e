SELECT DISTINCT body ->> 'task_class' FROM specs
WHERE body ->> 'task_class' <> ''
