"""The queue app: commands, arrays and sweeps as tasks, and what people are shown of them."""
