SELECT name, kind, state FROM pools ORDER BY name
