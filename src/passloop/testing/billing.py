"""What an endpoint would put on a bill, one line of JSON for each thing that happened, safe against its own death."""

from __future__ import annotations

import json
import os
from pathlib import Path

__all__ = ["BillingLog", "bills_in"]


class BillingLog:
    """Appends to a file (or to nothing). Each line is one write, so that whoever is killed leaves whole lines."""

    def __init__(self, path: Path | None) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._descriptor = None if path is None else os.open(path, flags, 0o600)

    def note(self, what: str, **fields: object) -> None:
        """Write that `what` happened: `received`, `answered` (billed), `refused` or `broken`."""
        if self._descriptor is not None:
            os.write(self._descriptor, json.dumps({"what": what, **fields}).encode() + b"\n")

    def close(self) -> None:
        """Write no more."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def bills_in(path: Path) -> list[dict[str, object]]:
    """All lines of a log, in order."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
