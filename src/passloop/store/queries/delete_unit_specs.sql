DELETE FROM unit_specs WHERE run IN (SELECT value FROM json_each(?)) AND run NOT IN (SELECT id FROM runs)
