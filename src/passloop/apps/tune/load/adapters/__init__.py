"""Other load clients, one a file: the words that start one, and what its output says of each request."""
