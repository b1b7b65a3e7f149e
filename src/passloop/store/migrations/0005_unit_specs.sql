-- What single units of a source were declared with, for those who hand them in one by one. In `sources` it was written
-- anew with each change of the source, and read whole for each unit.
CREATE TABLE unit_specs (
    run INTEGER NOT NULL,
    unit INTEGER NOT NULL,
    spec TEXT NOT NULL,
    PRIMARY KEY (run, unit)
) STRICT;
