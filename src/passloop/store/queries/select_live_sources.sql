-- A failed source may be retried, so it stays known.
SELECT
    run, kind, group_name, priority, state, held, unit, tasks, asked_with, message, declared_at, ended_at, asked, lags,
    end_unit, plan, spec
FROM sources WHERE ended_at IS NULL OR state = 'failed' ORDER BY run
