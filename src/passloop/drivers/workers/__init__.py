"""The driver for calls on warm workers: Python processes that stay between two cells. Stands on `processes`."""
