-- Where tasks of a source that is over were removed, nothing is to be made of the rest.
SELECT sources.run FROM sources
WHERE sources.kind = ?1 AND sources.state <> 'cancelled' AND sources.spec ->> '$.files'
    AND NOT EXISTS (SELECT 1 FROM tasks WHERE tasks.key = ?2 || sources.run)
    AND (sources.ended_at IS NULL OR sources.tasks = (
        SELECT count(*) FROM tasks JOIN cells ON cells.task = tasks.id WHERE tasks.run = sources.run))
ORDER BY sources.run
