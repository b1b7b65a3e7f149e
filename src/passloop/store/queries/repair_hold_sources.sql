UPDATE sources SET held = 1, message = ? WHERE ended_at IS NULL
