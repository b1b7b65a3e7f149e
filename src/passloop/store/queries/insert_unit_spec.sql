INSERT INTO unit_specs (run, unit, spec) VALUES (?, ?, ?)
