-- A source goes on behind its last unit, asks for it anew, and is over with its last unit.
UPDATE sources SET
    unit = max(unit, (SELECT coalesce(max(units.unit) + 1, 0) FROM units WHERE units.run = sources.run)),
    state = CASE WHEN state IN ('asked', 'resting') THEN 'open' ELSE state END,
    asked = NULL,
    ended_at = CASE
        WHEN state IN ('open', 'asked', 'resting')
            OR EXISTS (SELECT 1 FROM units WHERE units.run = sources.run AND units.ended_at IS NULL)
        THEN NULL
        ELSE coalesce(ended_at, declared_at) END
