"""Looks at devices: which GPUs exist, who uses them, how busy they are. It never decides who gets one."""
