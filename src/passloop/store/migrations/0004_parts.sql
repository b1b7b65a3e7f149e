-- Units may be written out in parts. `asked` is the unit and the nodes that are asked for, as JSON; `lags` are the nodes
-- that are not as far as the source, each with its next unit; `end_unit` is how many units there are, once it is known.
ALTER TABLE sources ADD COLUMN asked TEXT;
ALTER TABLE sources ADD COLUMN lags TEXT NOT NULL DEFAULT '[]';
ALTER TABLE sources ADD COLUMN end_unit INTEGER;
UPDATE sources SET asked = json_array(unit, json_array()) WHERE state = 'asked';
