SELECT * FROM attempts WHERE state <> 'ended' ORDER BY id
