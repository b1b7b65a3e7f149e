"""What cells are made of: contexts with questions, and the scorers of their answers."""
