INSERT INTO durations (task_class, program, millis) VALUES (?, ?, ?)
