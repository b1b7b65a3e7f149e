"""What the store promises, file by file, on real databases."""
