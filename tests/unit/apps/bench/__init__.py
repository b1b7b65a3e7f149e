"""Unit tests of the bench app."""
