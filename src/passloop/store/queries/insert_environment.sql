INSERT INTO environments (id, body) VALUES (?, ?) ON CONFLICT (id) DO NOTHING
