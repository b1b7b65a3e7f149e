SELECT name FROM task_groups WHERE held
