"""Calls of LLM endpoints: one asyncio loop, no process, no file. `driver.py` is the driver, `caller.py` the app's side.

Apart from `driver` and `client` nothing here imports the HTTP library, so that an app may name endpoints and pools
without it.
"""
