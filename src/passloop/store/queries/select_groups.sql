SELECT name, virtual_time, held FROM task_groups ORDER BY name
