SELECT * FROM units WHERE ended_at IS NULL ORDER BY run, unit
