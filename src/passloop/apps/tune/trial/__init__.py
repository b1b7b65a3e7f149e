"""The process of one trial: starts a server, waits until that one is ready, loads it, ends it, says what it saw."""
