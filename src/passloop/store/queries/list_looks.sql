-- The newest looks at devices before a time, newest first, among the newest rows of the journal.
SELECT now, events FROM journal
WHERE seq > (SELECT max(seq) FROM journal) - :rows AND now < :until
    AND (events LIKE '%"DevicesSeen"%' OR events LIKE '%"QuarantineReleased"%')
ORDER BY seq DESC
LIMIT :limit
