-- What succeeded or is live was retried by nobody.
SELECT id, retried_by FROM tasks
WHERE state IN ('failed', 'cancelled', 'aborted', 'rejected') AND retried_by IS NOT NULL
