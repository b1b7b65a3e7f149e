"""Facts about datasets that need no engine."""
