"""Loads a server and says what it did: the built-in client, and other clients behind the same result."""
