-- Work that is written out unit by unit. The columns up to ended_at are the fields of SourceRow in their order.
CREATE TABLE sources (
    run INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    group_name TEXT NOT NULL,
    priority INTEGER NOT NULL,
    state TEXT NOT NULL,
    held INTEGER NOT NULL,
    unit INTEGER NOT NULL,
    tasks INTEGER NOT NULL,
    asked_with INTEGER NOT NULL,
    message TEXT NOT NULL,
    declared_at INTEGER NOT NULL,
    ended_at INTEGER,
    plan TEXT NOT NULL,
    spec TEXT NOT NULL
) STRICT;

-- The columns are the fields of UnitRow in their order.
CREATE TABLE units (
    run INTEGER NOT NULL,
    unit INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    tasks INTEGER NOT NULL,
    expanded_at INTEGER NOT NULL,
    ended_at INTEGER,
    PRIMARY KEY (run, unit)
) STRICT, WITHOUT ROWID;
CREATE INDEX units_not_ended ON units (run, unit) WHERE ended_at IS NULL;

-- The place of a task in its run's source; tasks that were submitted have none.
CREATE TABLE cells (
    task INTEGER PRIMARY KEY,
    unit INTEGER NOT NULL,
    node INTEGER NOT NULL
) STRICT;
