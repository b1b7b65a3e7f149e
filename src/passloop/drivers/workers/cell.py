"""One cell inside a worker: its folder and records, its output, its variables, the call, and how it ended.

The start record is made before anything of the cell is imported or run, by a link that refuses an existing name; the
exit record's bytes are reserved then. Must never decide what becomes of the task.
"""

from __future__ import annotations

import contextlib
import os
import resource
import sys
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from passloop import worker
from passloop.crashpoints import crashpoint
from passloop.drivers.processes.keeper import records
from passloop.drivers.processes.keeper.commands import PASSING

from . import results
from .claims import StartRecord
from .output import Output
from .protocol import encoded
from .variables import Variables

__all__ = ["Cell", "Ended", "Standing", "TakenError"]

_LONGEST_MESSAGE = 400


class TakenError(Exception):
    """Somebody else made the start record: the cell is not to be run."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands over the worker's cells: its shim, and the worker's own id and folder."""

    worker: int
    shim: dict[str, str | int]
    warm_key: str | None
    variables: Variables = field(default_factory=Variables)


@dataclass(slots=True)
class Ended:
    """How a cell ended; `word` is what the application says of it beyond success and failure, `stop`
    the reason it was stopped for, `spoils` why its worker is not used again, `growth` by how many MiB that has grown in
    how many cells, if that is why."""

    kind: str
    exit_code: int | None
    message: str
    word: dict[str, object] | None = None
    stop: str | None = None
    spoils: str = ""
    growth: tuple[int, int] | None = None


class Cell:
    """One cell, from its order to its exit record."""

    def __init__(self, order: dict[str, Any], standing: Standing, starts: StartRecord) -> None:
        self.order = order
        self._standing = standing
        self._starts = starts
        self._nothing: dict[str, Any] = {}
        self._folder = -1
        self._exit = -1
        self._began = 0.0

    @property
    def attempt(self) -> int:
        """The attempt's id."""
        return int(self.order["cell"])

    def claim(self) -> None:
        """Make the folder and the start record. Raises `TakenError`, and OSError if nothing can be recorded."""
        directory = os.fsencode(self.order["directory"])
        _make_folder(directory)
        self._folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        crashpoint("worker_before_start_record")
        if not self._starts.claim(self._folder):
            raise TakenError
        self._exit = records.reserve_exit(self._folder)
        crashpoint("worker_after_start_record")

    def refusal(self, error: OSError) -> dict[str, Any]:
        """What is told if nothing could be recorded and nothing was run."""
        return self._identity() | {
            "kind": "lost",
            "message": f"the attempt's folder is not usable: {error.strerror}: {self.order['directory']}",
            "full": error.errno in records.DISK_FULL,
            "passing": error.errno in PASSING,
        }

    def run(self, number: int, output: Output) -> Ended:
        """Call the function with everything as its task wants it; never raises but what ends the worker itself."""
        self._began = time.monotonic()
        order = self.order
        environment = self._standing.variables.of(order["variables"], order["env"])
        with output.into(self._folder, short=order["short"]), environment:
            worker.begin(self._context(number))
            try:
                return self._called()
            except BaseException as error:
                return _ended_by(error)
            finally:
                worker.begin(None)

    def finish(self, ended: Ended, *, kept: bool) -> tuple[str, int]:
        """Write the exit record and what the application says; the record as JSON text, and how long it took in us."""
        if ended.word is not None:
            _leave_word(Path(self.order["directory"]), ended.word)
        usage = resource.getrusage(resource.RUSAGE_SELF)
        record: dict[str, Any] = self._identity() | {
            "kind": ended.kind,
            "exit_code": ended.exit_code,
            "signal": None,
            "message": ended.message[:_LONGEST_MESSAGE].encode("utf-8", "replace").decode(),
            "stop": ended.stop,
            "stray": False,
            "ended_at": records.wall_ms(),
            "max_rss_kib": usage.ru_maxrss,
            "wall_us": int((time.monotonic() - self._began) * 1e6),
            "worker": self._standing.worker,
            "kept": kept,
            **self._nothing,
        }
        if (loading := worker.loading()) is not None:
            record["loading_ms"] = loading
        if ended.growth is not None:
            record["growth_mib"], record["growth_cells"] = ended.growth
        crashpoint("worker_before_exit_record")
        text = encoded(record)
        records.store_exit(self._folder, self._exit, text.encode())
        return text, record["wall_us"]

    def sync(self) -> None:
        """Bring the exit record to the disk."""
        records.sync_exit(self._folder, self._exit)

    def close(self) -> None:
        """Close what was open for the cell."""
        for fd in (self._folder, self._exit):
            if fd >= 0:
                os.close(fd)
        self._folder = self._exit = -1

    def _called(self) -> Ended:
        order, out = self.order, f"{self.order['directory']}/out"
        if order["cwd"] != os.getcwd():
            os.chdir(order["cwd"])
        function = results.function_at(order["target"])
        value = results.call(function, order["args"], order["kwargs"])
        if value is None:
            self._nothing = {"result": None}
            return Ended("success", 0, "")
        wrong = results.leave_result(order["target"], value, out)
        return Ended("failure", results.UNSAYABLE, wrong) if wrong else Ended("success", 0, "")

    def _context(self, number: int) -> worker.Cell:
        order = self.order
        return worker.Cell(
            task=order["task"],
            attempt=order["epoch"],
            attempt_id=order["name"],
            out=Path(f"{order['directory']}/out"),
            index=order.get("index"),
            warm_key=self._standing.warm_key,
            number=number,
        )

    def _identity(self) -> dict[str, Any]:
        return {"attempt": self.attempt, "epoch": self.order["epoch"], "name": self.order["name"]}


def _ended_by(error: BaseException) -> Ended:
    """How a cell ended that raised."""
    if isinstance(error, SystemExit):
        return _ended_by_exit(error)
    if isinstance(error, worker.Stopped):
        return Ended("stopped", None, "", spoils="its call was stopped")
    _say("".join(traceback.format_exception(_without_ours(error))))
    message = traceback.format_exception_only(error)[-1].strip()
    ended = Ended("failure", 1, message)
    if _is_out_of_memory(error):
        ended.word = {"outcome": "out_of_memory", "message": message}
        ended.spoils = "it was out of memory"
    elif isinstance(error, worker.DeviceFault):
        ended.word = {"outcome": "device_fault", "message": message, "device": error.device or _first_device()}
        ended.spoils = "its device is broken"
    elif isinstance(error, worker.Refused):
        ended.word = {"outcome": "failure", "message": message, "final": True}
    return ended


def _ended_by_exit(error: SystemExit) -> Ended:
    if error.code is None or error.code == 0:
        return Ended("success", 0, "")
    if isinstance(error.code, int):
        return Ended("failure", error.code & 0xFF, f"exit code {error.code & 0xFF}")
    _say(f"{error.code}\n")
    return Ended("failure", 1, str(error.code))


def _say(text: str) -> None:
    """Into the cell's log. Where that takes nothing, for want of room or since it was closed, its record tells."""
    with contextlib.suppress(OSError, ValueError):
        print(text, end="", file=sys.stderr, flush=True)


def _without_ours(error: BaseException) -> BaseException:
    """The error with a traceback that begins where the cell's own code does."""
    here, frame = str(Path(__file__).parent), error.__traceback__
    while frame is not None and frame.tb_frame.f_code.co_filename.startswith(here):
        frame = frame.tb_next
    return error.with_traceback(frame)


def _is_out_of_memory(error: BaseException) -> bool:
    """By type: ours, Python's, and torch's if torch is there."""
    torch = sys.modules.get("torch")
    theirs = getattr(torch, "OutOfMemoryError", None) or getattr(getattr(torch, "cuda", None), "OutOfMemoryError", None)
    kinds = (worker.OutOfMemory, MemoryError, *([theirs] if isinstance(theirs, type) else []))
    return isinstance(error, kinds)


def _first_device() -> str | None:
    return os.environ.get("PASSLOOP_GPUS", "").partition(",")[0] or None


def _leave_word(directory: Path, word: dict[str, object]) -> None:
    """Leave the application's own word, unless the cell left one itself."""
    import json

    path = directory / "out" / "outcome.json"
    with contextlib.suppress(OSError):  # its disk is full: then it is a failure like others
        if not path.exists():
            path.write_text(json.dumps(word), encoding="utf-8")


def _make_folder(directory: bytes) -> None:
    """Make the attempt's folder with `out` in it: in the usual case only the run's folder is there."""
    try:
        os.mkdir(os.path.dirname(directory), 0o700)
        os.mkdir(directory, 0o700)
        os.mkdir(directory + b"/out", 0o700)
    except (FileExistsError, FileNotFoundError):
        os.makedirs(directory + b"/out", 0o700, exist_ok=True)
