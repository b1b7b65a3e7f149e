"""What tuning costs: the load client beside others, and trials beside the best possible packing."""
