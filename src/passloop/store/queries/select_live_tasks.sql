SELECT * FROM tasks
WHERE state IN ('waiting', 'held', 'backoff', 'ready', 'admitted', 'running', 'stopping')
    -- final ones too that a stray of theirs still holds something for
    OR id IN (SELECT task FROM attempts WHERE attempts.state <> 'ended')
ORDER BY id
