-- A step of a limit, unless gate and limit are as they were; both are in the pool's state, which is JSON text.
INSERT OR REPLACE INTO limit_steps (pool, at, gate, most)
SELECT ?1, ?3, told.gate, told.most
FROM (SELECT ?2 ->> '$.closure.gate' AS gate, min(?2 ->> '$.closure.limit', ?2 ->> '$.capacity') AS most) AS told
WHERE (told.gate, told.most) IS NOT (SELECT gate, most FROM limit_steps WHERE pool = ?1 ORDER BY at DESC LIMIT 1)
