-- Without what they were declared with, which is megabytes of a large matrix.
SELECT
    run, kind, group_name, priority, state, held, unit, tasks, asked_with, message, declared_at, ended_at, asked, lags,
    end_unit, plan
FROM sources WHERE run IN (SELECT value FROM json_each(?))
