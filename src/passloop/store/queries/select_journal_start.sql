SELECT min(seq) FROM journal
