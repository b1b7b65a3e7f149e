-- How many a limit let be under way at once, from when on: a row for each change of its gate or of its limit.
CREATE TABLE limit_steps (
    pool TEXT NOT NULL,
    at INTEGER NOT NULL,
    gate TEXT NOT NULL,
    most INTEGER NOT NULL,
    PRIMARY KEY (pool, at)
) STRICT, WITHOUT ROWID;
