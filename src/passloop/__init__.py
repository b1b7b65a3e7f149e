"""passloop."""
