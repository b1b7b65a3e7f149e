CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE runs (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    group_name TEXT NOT NULL,
    submitted_at INTEGER NOT NULL,
    about TEXT NOT NULL
) STRICT;
CREATE INDEX runs_by_name ON runs (name);

CREATE TABLE specs (
    id INTEGER PRIMARY KEY,
    hash TEXT NOT NULL UNIQUE,
    body TEXT NOT NULL
) STRICT;

CREATE TABLE environments (
    id TEXT PRIMARY KEY,
    body TEXT NOT NULL
) STRICT;

-- The columns up to stop_reason are the fields of TaskRow in their order.
CREATE TABLE tasks (
    id INTEGER PRIMARY KEY,
    run INTEGER NOT NULL,
    task_index INTEGER NOT NULL,
    rank INTEGER NOT NULL,
    key TEXT,
    group_name TEXT NOT NULL,
    priority INTEGER NOT NULL,
    state TEXT NOT NULL,
    held INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    timeouts INTEGER NOT NULL,
    ooms INTEGER NOT NULL,
    losses INTEGER NOT NULL,
    faults INTEGER NOT NULL,
    not_before INTEGER,
    variant_from INTEGER NOT NULL,
    head_since INTEGER,
    patience INTEGER,
    reservation TEXT,
    submitted_at INTEGER NOT NULL,
    started_at INTEGER,
    ended_at INTEGER,
    outcome TEXT,
    exit_code INTEGER,
    message TEXT NOT NULL,
    retry_of INTEGER,
    retried_by INTEGER,
    stop_reason TEXT NOT NULL,
    spec INTEGER NOT NULL,
    depends TEXT NOT NULL
) STRICT;
CREATE INDEX tasks_by_state ON tasks (state);
CREATE INDEX tasks_by_run ON tasks (run, state);
CREATE INDEX tasks_by_key ON tasks (key) WHERE key IS NOT NULL;

-- What never changes after the submission and would make every change of a task's row dearer.
CREATE TABLE payloads (
    task INTEGER PRIMARY KEY,
    body TEXT NOT NULL
) STRICT;

CREATE TABLE results (
    task INTEGER PRIMARY KEY,
    body TEXT NOT NULL
) STRICT;

-- The columns are the fields of AttemptRow in their order.
CREATE TABLE attempts (
    id INTEGER PRIMARY KEY,
    task INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    state TEXT NOT NULL,
    driver TEXT NOT NULL,
    allocation TEXT NOT NULL,
    bound INTEGER,
    bound_enforced INTEGER NOT NULL,
    admitted_at INTEGER NOT NULL,
    started_at INTEGER,
    ended_at INTEGER,
    process TEXT NOT NULL,
    outcome TEXT,
    charged INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX attempts_by_task ON attempts (task, epoch);
CREATE INDEX attempts_not_ended ON attempts (id) WHERE state <> 'ended';

CREATE TABLE pools (
    name TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    state TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE task_groups (
    name TEXT PRIMARY KEY,
    virtual_time INTEGER NOT NULL,
    held INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE settings (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE durations (
    id INTEGER PRIMARY KEY,
    task_class TEXT NOT NULL,
    program TEXT NOT NULL,
    millis INTEGER NOT NULL
) STRICT;

CREATE TABLE samples (
    attempt INTEGER NOT NULL,
    at INTEGER NOT NULL,
    uuid TEXT NOT NULL,
    utilisation INTEGER NOT NULL,
    memory_mib INTEGER NOT NULL,
    power_mw INTEGER NOT NULL,
    PRIMARY KEY (attempt, at, uuid)
) STRICT, WITHOUT ROWID;

-- Append-only. `checksum` covers all other columns; `seq` has no gaps.
CREATE TABLE journal (
    seq INTEGER PRIMARY KEY,
    now INTEGER NOT NULL,
    at INTEGER NOT NULL,
    seed INTEGER NOT NULL,
    first_run INTEGER NOT NULL,
    first_task INTEGER NOT NULL,
    first_attempt INTEGER NOT NULL,
    next_run INTEGER NOT NULL,
    next_task INTEGER NOT NULL,
    next_attempt INTEGER NOT NULL,
    events TEXT NOT NULL,
    touched TEXT NOT NULL,
    checksum TEXT NOT NULL
) STRICT;

CREATE TRIGGER an_ended_attempt_stays BEFORE UPDATE ON attempts
WHEN OLD.state = 'ended' OR NEW.epoch <> OLD.epoch OR NEW.task <> OLD.task
BEGIN
    SELECT RAISE(ABORT, 'an ended attempt is never overwritten');
END;

CREATE TRIGGER a_final_task_stays BEFORE UPDATE ON tasks
WHEN OLD.state IN ('succeeded', 'failed', 'cancelled', 'aborted', 'rejected')
    AND (NEW.state, NEW.outcome, NEW.exit_code, NEW.ended_at)
        IS NOT (OLD.state, OLD.outcome, OLD.exit_code, OLD.ended_at)
BEGIN
    SELECT RAISE(ABORT, 'a final task never changes');
END;
