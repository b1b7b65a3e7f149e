-- Parameters are the fields of TaskRow in their order; what never changes (run, index, key, origin) is left alone.
UPDATE tasks SET
    rank = ?4, group_name = ?6, priority = ?7, state = ?8, held = ?9, attempts = ?10, failures = ?11,
    timeouts = ?12, ooms = ?13, losses = ?14, faults = ?15, not_before = ?16, variant_from = ?17,
    head_since = ?18, patience = ?19, reservation = ?20, started_at = ?22, ended_at = ?23, outcome = ?24,
    exit_code = ?25, message = ?26, retry_of = ?27, retried_by = ?28, stop_reason = ?29
WHERE id = ?1
