"""What ships for tests of other programs, tested itself."""
