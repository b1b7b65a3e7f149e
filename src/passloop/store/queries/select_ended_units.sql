-- Of a unit that lacks nodes yet it is not said that it has ended.
SELECT unit FROM units
WHERE run = ?1 AND ended_at IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM sources, json_each(sources.lags)
    WHERE sources.run = ?1 AND json_extract(json_each.value, '$[1]') <= units.unit)
ORDER BY unit
