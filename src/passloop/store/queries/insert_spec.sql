INSERT INTO specs (hash, body) VALUES (?, ?) ON CONFLICT (hash) DO NOTHING
