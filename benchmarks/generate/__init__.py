"""How fast calls of endpoints are, beside what one would write by hand."""
