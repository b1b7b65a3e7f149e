"""Reads the `metrics.json` that an attempt left behind. Owns its limits; whatever it holds, the engine goes on.

A file that cannot be taken gives a result that says so under `_error`, so that nobody looks for numbers in vain.
"""

from __future__ import annotations

import json
import math
import os
import stat
from pathlib import Path
from typing import Any

__all__ = ["MOST_BYTES", "read_metrics"]

MOST_BYTES = 1024 * 1024
"""The largest `metrics.json` that is read, in bytes."""


def read_metrics(out: Path | str) -> str | None:
    """The JSON text of the results left in `out/metrics.json`; None if there is no such file. Never raises.

    The text is one JSON object of at most `MOST_BYTES`; numbers that JSON cannot say (NaN, infinities) become null.
    """
    try:
        raw = _read_plain_file(f"{out}/metrics.json")
    except OSError as error:
        return _complaint(f"metrics.json cannot be read: {error.strerror}")
    if raw is None:
        return None
    if len(raw) > MOST_BYTES:
        return _complaint(f"metrics.json is larger than {MOST_BYTES} bytes; keep large results in other files")
    try:
        value = json.loads(raw)
        text = json.dumps(_without_nan(value), ensure_ascii=False, allow_nan=False)
        text.encode("utf-8")
    except (ValueError, RecursionError) as error:
        return _complaint(f"metrics.json is not JSON: {error}")
    if not isinstance(value, dict):
        return _complaint('metrics.json must hold one JSON object, like {"accuracy": 0.93}')
    return text


def _read_plain_file(path: str) -> bytes | None:
    """Its first bytes, one more than may be; None if there is none. Follows no link and waits for no pipe."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(0, "it is not a plain file")
        return file.read(MOST_BYTES + 1)


def _without_nan(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _without_nan(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_nan(inner) for inner in value]
    return value


def _complaint(text: str) -> str:
    return json.dumps({"_error": text})
