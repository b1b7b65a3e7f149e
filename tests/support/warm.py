"""Calls for warm workers: orders for them, and functions that behave as a test wants. Imported in the workers, too."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from passloop import worker
from passloop.drivers.base import Launch

ROOT = Path(__file__).resolve().parents[2]
"""Where workers must be to import this module."""


def call_of(function: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
    """The call of a function of this module, as it stands in a payload."""
    return {"target": f"tests.support.warm:{function}", "args": list(args), "kwargs": kwargs}


def call_order(home: Path, attempt: int, call: dict[str, Any], **fields: Any) -> Launch:
    """An order for the driver of warm workers; `fields` are those of `order_for`."""
    from .attempts import order_for

    payload = {"call": call} | fields.pop("payload", {})
    return order_for(home, attempt, [], payload=payload, cwd=str(ROOT), **{"warm_key": "key"} | fields)


def nothing() -> None:
    """Return at once."""


def leave_with(code: int) -> None:
    """End like a program with an exit code."""
    sys.exit(code)


def stay(tree: list[str]) -> None:
    """Start a tree of processes and stay until stopped."""
    subprocess.Popen(tree)
    while True:
        signal.pause()


def stay_stubbornly(tree: list[str]) -> None:
    """The same, but take no stop for an answer."""
    subprocess.Popen(tree)
    while True:
        try:
            signal.pause()
        except worker.Stopped:
            continue
