SELECT coalesce(max(max(submitted_at, coalesce(ended_at, 0))), 0) FROM tasks
