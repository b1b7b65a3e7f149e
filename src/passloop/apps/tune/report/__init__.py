"""What a study answers: the best trial with its command, tables, files, one page. Computed from what is stored."""
