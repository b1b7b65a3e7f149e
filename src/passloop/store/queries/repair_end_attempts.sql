-- Not those that outlive their task's end: nothing is started again for them.
UPDATE attempts SET state = 'ended', ended_at = max(admitted_at, ?), outcome = ?
WHERE state IN ('admitted', 'running', 'stopping')
