"""Servers to be tuned: how each kind is started, known as ours, and ended; and the ready-made llama.cpp server."""
