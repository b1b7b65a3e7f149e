"""Unit tests of loading servers and of scoring what they did."""
