"""The routes of `/api/v1`, one file per area. Each asks the engine and shapes the answer; none decides."""
