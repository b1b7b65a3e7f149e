"""Calls a function by its import path and leaves what it returns where results are looked for. Used by warm workers
and by processes of one call alike; must never hide what the function raises.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import sys
from collections.abc import Callable
from functools import reduce
from importlib import import_module
from pathlib import Path
from typing import Any

__all__ = ["UNSAYABLE", "call", "function_at", "leave_result"]

UNSAYABLE = 1
"""The exit code of a call that returned what JSON cannot say."""


def function_at(target: str) -> Callable[..., Any]:
    """The function at `package.module:function`, imported now if it was not before."""
    module, _, path = target.partition(":")
    found: Any = import_module(module)
    function: Callable[..., Any] = reduce(getattr, path.split("."), found)
    return function


def call(function: Callable[..., Any], args: list[Any], kwargs: dict[str, Any]) -> Any:
    """What the function returns; a coroutine is run to its end."""
    value = function(*args, **kwargs)
    return asyncio.run(value) if inspect.iscoroutine(value) else value


def leave_result(target: str, value: Any, out: str | Path) -> str:
    """Write the value to `result.json`, and what of it fits a table to `metrics.json` unless there is one.

    Returns what is wrong with it in one sentence, "" for nothing; then it was told on stderr with the fix, and nothing
    was written.
    """
    try:
        text = json.dumps(value)
    except (TypeError, ValueError) as wrong:
        told = f"what {target} returned cannot be said in JSON: {wrong}"
        print(f"passloop: {told}", file=sys.stderr)
        print("  how to fix: return numbers, text, lists, dicts; write other things to PASSLOOP_OUT", file=sys.stderr)
        return told
    _write(f"{out}/result.json", text)
    metrics = _metrics(value)
    if metrics and not os.path.exists(f"{out}/metrics.json"):
        _write(f"{out}/metrics.json", json.dumps(metrics))
    return ""


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        data = text.encode()
        while data:
            data = data[os.write(fd, data) :]
    finally:
        os.close(fd)


def _metrics(value: Any) -> dict[str, Any]:
    """What of a result fits a table: its numbers, texts and booleans."""
    named = value if isinstance(value, dict) else {"result": value}
    return {str(name): one for name, one in named.items() if isinstance(one, str | int | float)}
