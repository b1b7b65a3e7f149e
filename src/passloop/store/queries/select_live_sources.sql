-- A failed source may be retried, so it stays known.
SELECT * FROM sources WHERE ended_at IS NULL OR state = 'failed' ORDER BY run
