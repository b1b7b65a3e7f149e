-- The steps of some limits after a time, and of each the one that held at that time, in their order.
SELECT pool, at, gate, most FROM limit_steps
WHERE pool IN (SELECT value FROM json_each(:pools)) AND at >= coalesce(
    (SELECT max(earlier.at) FROM limit_steps AS earlier WHERE earlier.pool = limit_steps.pool AND earlier.at <= :since),
    :since)
ORDER BY at, pool
