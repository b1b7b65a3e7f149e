UPDATE tasks SET retried_by = ?1 WHERE id = ?2
