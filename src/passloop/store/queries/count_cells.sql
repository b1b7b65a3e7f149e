SELECT count(*) FROM tasks JOIN cells ON cells.task = tasks.id WHERE tasks.run = ?
