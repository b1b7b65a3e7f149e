-- An attempt that ended, or another epoch of the id, is refused by the trigger an_ended_attempt_stays.
INSERT INTO attempts VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
ON CONFLICT (id) DO UPDATE SET
    task = ?2, epoch = ?3, state = ?4, allocation = ?6, bound = ?7, bound_enforced = ?8, started_at = ?10,
    ended_at = ?11, process = ?12, outcome = ?13, charged = ?14
