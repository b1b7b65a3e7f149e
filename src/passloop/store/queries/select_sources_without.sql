SELECT sources.run FROM sources
WHERE sources.kind = ?1 AND sources.state <> 'cancelled' AND sources.spec ->> '$.files'
    AND NOT EXISTS (SELECT 1 FROM tasks WHERE tasks.key = ?2 || sources.run)
ORDER BY sources.run
