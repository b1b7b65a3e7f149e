"""How an attempt on a worker ended, by its records and by how its worker ended. Reads; the one thing it writes is the
tombstone that forbids a start, as for any attempt.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from passloop.drivers.descriptors import lacks_descriptor
from passloop.drivers.processes.keeper.records import EXIT_FILE, NO_ROOM, START_FILE
from passloop.drivers.processes.own_word import explained
from passloop.drivers.processes.reattach import look, outcome_of
from passloop.kernel.tasks import Outcome, OutcomeKind

from .limits import HARD_LIMIT
from .pool import Hold, Order

__all__ = ["Ending", "halted", "look_at", "outcome_after", "record_name", "said_outcome", "worker_of"]

_HALTED = {
    "cancelled": (OutcomeKind.CANCELLED, "stopped on request"),
    "timeout": (OutcomeKind.TIMEOUT, "stopped at its time limit"),
    "down": (OutcomeKind.LOST, "stopped because the engine was shut down"),
    "recall": (OutcomeKind.LOST, "another worker may be free sooner"),
}


@dataclass(frozen=True, slots=True)
class Ending:
    """What the records say. `begun` = it may have run; `outcome` if it has ended, with `kept` if its worker goes on.

    `unsure` = they can be neither read nor made now, so that one that has not begun may do so yet; `bare` = all there
    is of it is a start record: it runs, or its worker died of it, or had no room to record it and ran nothing.
    """

    begun: bool
    outcome: Outcome | None = None
    kept: bool = False
    unsure: bool = False
    bare: bool = False


def look_at(order: Order) -> Ending:
    """Read the records of an attempt; one that was not begun never will be after this, if that is sure. Not for the
    engine's loop.

    Raises `OSError` for want of descriptors: that says nothing of the attempt.
    """
    finding = look(order.directory, order.name)
    if finding.error is not None:
        return Ending(begun=finding.error not in NO_ROOM, unsure=True)  # only what is not there wants room
    if not finding.begun:
        return Ending(begun=False)
    if not finding.recorded:
        return Ending(begun=True, bare=not os.path.lexists(order.directory / _EXIT))
    return Ending(begun=True, outcome=finding.outcome, kept=_read(order.directory / _EXIT).get("kept") is True)


_EXIT = EXIT_FILE.decode()
_START = START_FILE.decode()


def said_outcome(record: dict[str, Any], directory: Path) -> Outcome:
    """The outcome that a worker told, in the application's own words if it left any.

    Raises `OSError` for want of descriptors.
    """
    outcome = outcome_of(record)
    if outcome is None:
        return Outcome(OutcomeKind.LOST, message="its exit record is damaged")
    return explained(outcome, directory)


def outcome_after(hold: Hold, order: Order, ending: Ending) -> Outcome:
    """How an attempt ended whose worker is gone, or is done with it and goes on."""
    if ending.outcome is not None:
        return ending.outcome
    if hold.alive:
        return _passed_by(ending)
    if hold.halted is not None and hold.halted[0] == order.attempt:
        return halted(hold.halted[1])
    if order.refused is not None:
        return order.refused
    died = hold.ended or Outcome(OutcomeKind.LOST, message="nothing is left of it")
    if not ending.begun:
        return _never_begun(hold, died)
    if hold.halted is not None:
        return Outcome(OutcomeKind.LOST, message="its worker was stopped for another task", engine_lost=True)
    if died.signal == HARD_LIMIT:
        return Outcome(OutcomeKind.TIMEOUT, signal=HARD_LIMIT, message="killed: it did not heed its time limit")
    if died.kind is OutcomeKind.OUT_OF_MEMORY:
        return Outcome(OutcomeKind.OUT_OF_MEMORY, exit_code=died.exit_code, message=died.message)
    return Outcome(OutcomeKind.LOST, signal=died.signal, message=f"its worker died: {died.message or 'exit code 0'}")


def _passed_by(ending: Ending) -> Outcome:
    """A worker that goes on has left an attempt without an end on record: it ran it only if that cannot be read."""
    if not ending.begun:
        return Outcome(OutcomeKind.LOST, message="never started", engine_lost=True)
    if ending.bare:
        return Outcome(OutcomeKind.LOST, message="its worker had no room to record it", engine_lost=True)
    return Outcome(OutcomeKind.LOST, message="its records are not readable")


def halted(reason: str) -> Outcome:
    """The outcome of an attempt that was stopped for this reason."""
    kind, message = _HALTED.get(reason, _HALTED["cancelled"])
    return Outcome(kind, message=message, engine_lost=kind is OutcomeKind.LOST)


def _never_begun(hold: Hold, died: Outcome) -> Outcome:
    """A worker that did not come up by itself is the task's own failure, as a command that cannot be started is."""
    if hold.came_up or hold.halted is not None or died.kind is not OutcomeKind.FAILURE:
        why = f": {died.message}" if died.engine_lost and died.message else ""
        message = f"its worker ended before it began{why}"
        return Outcome(OutcomeKind.LOST, message=message, engine_lost=True, retry_after=died.retry_after)
    told = died.message if died.exit_code in (126, 127) else f"its worker did not come up: {died.message}"
    return Outcome(OutcomeKind.FAILURE, exit_code=died.exit_code, message=f"{told}; see {hold.directory}/stderr.log")


def worker_of(directory: Path) -> int | None:
    """The worker that the start record of an attempt names."""
    worker = _read(directory / _START).get("worker")
    return worker if isinstance(worker, int) else None


def record_name(directory: Path) -> str:
    """The name in a worker's own start record, "" if it has none."""
    return str(_read(directory / _START).get("name", ""))


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and lacks_descriptor(error):
            raise
        return {}
    return found if isinstance(found, dict) else {}
