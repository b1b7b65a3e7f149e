SELECT id FROM tasks WHERE state IN ('admitted', 'running', 'stopping') AND id NOT IN (
    SELECT task FROM attempts WHERE attempts.state IN ('admitted', 'running', 'stopping'))
