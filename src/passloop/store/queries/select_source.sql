SELECT
    run, kind, group_name, priority, state, held, unit, tasks, asked_with, message, declared_at, ended_at, asked, lags,
    end_unit, plan, spec
FROM sources WHERE run = ?
