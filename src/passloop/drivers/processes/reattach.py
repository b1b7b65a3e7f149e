"""What the records in an attempt's folder say: never begun, alive, ended and how, or lost. Reads; decides
for nobody else.

The one thing it writes is a tombstone: a start record that forbids the start for ever, made only where there
is none.
"""

from __future__ import annotations

import errno
import json
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from passloop.crashpoints import crashpoint
from passloop.drivers.descriptors import WANTED_AGAIN_MS, lacks_descriptor
from passloop.drivers.identity import Process, boot_id, ticks_of
from passloop.kernel.tasks import Growth, Outcome, OutcomeKind

from .keeper.records import EXIT_FILE, START_FILE, STOP_LINK, TOMBSTONE, sealed, unsealed
from .own_word import explained, storable_text

__all__ = ["Finding", "ask_to_stop", "look", "outcome_of", "process_of"]

_START = os.fsdecode(START_FILE)
_EXIT = os.fsdecode(EXIT_FILE)
_STOP = os.fsdecode(STOP_LINK)


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found. `process` is the shim's if a start record names one; `alive` that it lives.

    `outcome` is given if the attempt is known to have ended, or to be lost; `stray` if its record says that
    something outlived it; `begun` that its command may have run; `error` is the number of the error that kept its
    records from being read or made.
    """

    process: Process | None = None
    alive: bool = False
    outcome: Outcome | None = None
    stray: bool = False
    begun: bool = True
    recorded: bool = False
    error: int | None = None


def look(directory: Path, name: str) -> Finding:
    """Read the records of the attempt called `name`. Without a start record, makes the tombstone first.

    Records that cannot be read or made lose the attempt; what lives of it must then be found and ended by its name.
    Raises `OSError` for want of descriptors: that says nothing of the attempt.
    """
    try:
        return _look(directory, name)
    except OSError as error:
        if lacks_descriptor(error):
            raise
        lost = _lost(f"its records are not readable: {error.strerror}: {directory}")
        return Finding(outcome=lost, error=error.errno or errno.EIO)


def _look(directory: Path, name: str) -> Finding:
    start = _read(directory / _START)
    if start is None:
        if _bury(directory, name):
            return Finding(outcome=_lost("never started"), begun=False)
        start = _read(directory / _START) or {}
    if start.get(TOMBSTONE):
        return Finding(outcome=_lost("never started"), begun=False)
    process = process_of(start) if start.get("name") == name else None
    alive = process is not None and process.boot == boot_id() and ticks_of(process.pid) == process.ticks
    record = _read(directory / _EXIT)
    outcome = outcome_of(record) if record is not None and record.get("name") == name else None
    if record is not None and outcome is not None:
        return Finding(process, alive, explained(outcome, directory), bool(record.get("stray")), recorded=True)
    if alive:
        return Finding(process, alive)
    if process is not None and process.boot != boot_id():
        return Finding(process, outcome=_lost("the machine was restarted while it ran"))
    return Finding(process, outcome=_lost("the process that stood over it was killed; what it had started was ended"))


def outcome_of(record: dict[str, Any]) -> Outcome | None:
    """The outcome an exit record tells; None if the record is damaged."""
    try:
        kind = OutcomeKind(str(record.get("kind")))
    except ValueError:
        return None
    return Outcome(
        kind=kind,
        exit_code=_number(record.get("exit_code")),
        signal=_number(record.get("signal")),
        message=storable_text(str(record.get("message", ""))),
        retry_after=WANTED_AGAIN_MS if record.get("passing") is True else None,
        engine_lost=kind is OutcomeKind.LOST and _costs_nothing(record),
        ran=_millis(record.get("wall_us")),
        loading=_span(record.get("loading_ms")),
        growth=_growth(record),
    )


def _costs_nothing(record: dict[str, Any]) -> bool:
    """Whether a loss was for the engine's shutdown, or for a want that passes: of room, processes, descriptors."""
    return record.get("stop") == "down" or record.get("full") is True or record.get("passing") is True


def _millis(wall_us: object) -> int | None:
    """How long it ran, from the record's microseconds; None if these cannot be."""
    return wall_us // 1_000 if isinstance(wall_us, int) and 0 <= wall_us < 2**60 else None


def _span(millis: object) -> int | None:
    return millis if isinstance(millis, int) and 0 <= millis < 2**50 else None


def _growth(record: dict[str, Any]) -> Growth | None:
    mib, cells = _number(record.get("growth_mib")), _number(record.get("growth_cells"))
    return None if mib is None or cells is None else Growth(mib, cells)


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and abs(value) < 2**31 else None


def process_of(start: dict[str, Any]) -> Process | None:
    """The shim a start record names; None if the record is damaged."""
    pid, ticks, boot = start.get("pid"), start.get("ticks"), start.get("boot")
    if isinstance(pid, int) and isinstance(ticks, int) and isinstance(boot, str):
        return Process(pid, ticks, boot)
    return None


def ask_to_stop(directory: Path, *, grace: int, reason: str) -> None:
    """Leave the wish to stop in the folder; the latest one counts. `grace` is in ms."""
    directory.mkdir(0o700, parents=True, exist_ok=True)
    temporary = directory / f"{_STOP}.tmp"
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(f"{grace} {reason}")
    temporary.replace(directory / _STOP)
    crashpoint("after_stop_wish")


def _lost(message: str) -> Outcome:
    return Outcome(kind=OutcomeKind.LOST, message=message)


def _bury(directory: Path, name: str) -> bool:
    """Make the tombstone; False if a start record is there after all."""
    directory.mkdir(0o700, parents=True, exist_ok=True)
    temporary = directory / f"start.engine.{os.getpid()}.{threading.get_ident()}"  # two threads may look at once
    temporary.write_bytes(sealed(json.dumps({"name": name, TOMBSTONE: True}).encode()))
    crashpoint("before_tombstone")
    try:
        os.link(temporary, directory / _START)
    except FileExistsError:
        return False
    finally:
        temporary.unlink()
    crashpoint("after_tombstone")
    return True


def _read(path: Path) -> dict[str, Any] | None:
    """A record; None if there is none. A damaged one reads as empty: it was there, and it names no process."""
    try:
        text = unsealed(path.read_bytes())
    except FileNotFoundError:
        return None
    try:
        record = json.loads(text or b"{}")
    except ValueError:
        return {}
    return record if isinstance(record, dict) else {}
