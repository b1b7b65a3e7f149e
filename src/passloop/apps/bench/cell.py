"""The program of a cell: `python -m passloop.apps.bench.cell`, with its order in PASSLOOP_CELL; and `run`, the same for
a warm worker, where what is loaded stays for the next cell.

It turns how the cell ended into what the driver understands: an exit code with `outcome.json`, or an exception.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from passloop import worker
from passloop.clock import SystemClock

from .adapters.base import Granted
from .cell_order import CellOrder, decode_order
from .cell_run import CellEnd, Place, run_cell
from .errors import CellError, ErrorClass, Phase, classed
from .policy import POLICIES
from .warm import Warm

__all__ = ["ORDER", "main", "run"]

ORDER = "PASSLOOP_CELL"
FAILED = 1
SPOILING = frozenset({ErrorClass.LOAD_OOM, ErrorClass.RUN_OOM, ErrorClass.HOST_OOM, ErrorClass.DEVICE_FAULT})
"""After these a worker is not used again: memory in pieces, or a device in an unknown state."""


class Failed(Exception):
    """A cell failed; its own word is in `outcome.json`. The message is one sentence for people."""


_WARM = Warm()


def run(order: str) -> dict[str, Any]:
    """Run the cell that `order` (JSON text) describes, on what this process has loaded. Returns its metrics; raises
    what tells the driver how it failed.
    """
    decoded = decode_order(order)
    place = _place(decoded)
    end = run_cell(decoded, place, _WARM, SystemClock())
    if end.loaded is not None:
        worker.loaded(end.loaded)
    if end.metrics is not None:
        _leave(place.out / "metrics.json", end.metrics)
        return dict(end.metrics)
    _leave(place.out / "outcome.json", _word(end))
    if end.reason is not None and end.reason.error_class in SPOILING:
        _WARM.clear()
        worker.mutated(f"{end.reason.error_class}: what is left of it may lie in memory")
    raise Failed(_message(end))


def main() -> int:
    """Run the cell of PASSLOOP_CELL: 0 if it is complete, else an exit code, with the reason in `outcome.json`."""
    place = Place(out=Path(os.environ.get("PASSLOOP_OUT", ".")))
    try:
        order = decode_order(os.environ.pop(ORDER, ""))
        place = _place(order)
        end = run_cell(order, place, _WARM, SystemClock())
    except (CellError, OSError) as error:
        end = CellEnd(reason=classed(error, Phase.STORE if isinstance(error, OSError) else Phase.CONFIG), final=True)
    if end.metrics is not None:
        _leave(place.out / "metrics.json", end.metrics)
        return 0
    _leave(place.out / "outcome.json", _word(end))
    print(f"passloop: {_message(end)}", file=sys.stderr)
    return end.reason.exit_code or FAILED if end.reason is not None else FAILED


def _place(order: CellOrder) -> Place:
    gpus = tuple(filter(None, os.environ.get("PASSLOOP_GPUS", "").split(",")))
    task = os.environ.get("PASSLOOP_TASK_ID", "0")
    return Place(
        task=int(task) if task.isdecimal() else 0,
        attempt_id=os.environ.get("PASSLOOP_ATTEMPT_ID", ""),
        out=Path(os.environ.get("PASSLOOP_OUT", ".")),
        granted=Granted(gpus=gpus, threads=max(1, order.cpus_milli // 1000)),
    )


def _word(end: CellEnd) -> dict[str, Any]:
    """The cell's own word on why it failed, for the driver; `class` and `phase` are for people and `retry`."""
    if end.reason is None:
        return {"outcome": "failure", "final": True, "message": _message(end), "class": "skipped"}
    reason = end.reason
    word = {
        "outcome": POLICIES[reason.error_class].outcome,
        "message": _message(end),
        "class": str(reason.error_class),
        "phase": str(reason.phase),
        "final": end.final,
    }
    if end.bad_device:
        word |= {"outcome": "device_fault", "device": end.bad_device}
    return word


def _message(end: CellEnd) -> str:
    if end.reason is None:
        return f"skipped: {end.skipped}"
    return f"{end.reason.error_class} ({end.reason.phase}): {end.reason.message}"


def _leave(path: Path, value: Any) -> None:
    """Leave a document in the attempt's folder; a disk that is full there does not undo what is done."""
    try:
        path.write_text(json.dumps(value), encoding="utf-8")
    except OSError as error:
        print(f"passloop: {path} cannot be written: {error.strerror}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
