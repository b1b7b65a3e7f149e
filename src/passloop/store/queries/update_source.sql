-- Parameters are the fields of SourceRow in their order; what never changes (kind, declared_at) is left alone.
UPDATE sources SET
    group_name = ?3, priority = ?4, state = ?5, held = ?6, unit = ?7, tasks = ?8, asked_with = ?9, message = ?10,
    ended_at = ?12, asked = ?13, lags = ?14, end_unit = ?15
WHERE run = ?1
