"""The driver for leases: an attempt whose tree is a process that is there already, the one that holds devices.

Nothing is started. The lease begins at once, and ends when it is released, taken back, or its holder dies,
which a descriptor of that process tells without delay. Where none is left for that, it begins once there is one, or
lasts unwatched until then. Must never signal the holder.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from passloop.kernel.events import Exited, Started
from passloop.kernel.ids import AttemptId
from passloop.kernel.tasks import Outcome, OutcomeKind

from . import descriptors
from .background import to_the_loop
from .base import Fail, Launch, LiveAttempt, Report
from .forbidden import Forbidden
from .identity import Process, boot_id, open_process, process_from_json, process_json

__all__ = ["LeaseDriver"]

_HALTED = {"timeout": OutcomeKind.TIMEOUT, "down": OutcomeKind.LOST}


@dataclass(frozen=True, slots=True)
class _Lease:
    """A lease that lasts; `pidfd` becomes readable when its holder dies."""

    attempt: AttemptId
    epoch: int
    pidfd: int


@dataclass(frozen=True, slots=True)
class _Unwatched:
    """A lease that there is no descriptor for yet: one to begin, or one that lasts. `timer` rings to try again."""

    attempt: AttemptId
    epoch: int
    timer: asyncio.TimerHandle


class LeaseDriver:
    """Watches the holders of leases. The payload names the holder: `pid`, `ticks` (its start in clock ticks)."""

    name = "leases"

    def __init__(self, *, name: str = "leases") -> None:
        self.name = name
        self._leases: dict[int, _Lease] = {}
        self._unwatched: dict[int, _Unwatched] = {}
        self._forbidden = Forbidden()
        self._counts = {"launched": 0, "ended": 0}

    async def start(self, report: Report, *, failed: Fail = to_the_loop) -> None:
        """Report to `report` from now on. There is no work of its own that could fail unheard."""
        self._report = report

    async def stop(self) -> None:
        """Stop watching. The leases last and can be reattached."""
        for lease in list(self._leases.values()):
            self._forget(lease)
        for unwatched in list(self._unwatched.values()):
            self._forget(unwatched)

    def launch(self, order: Launch) -> None:
        """The lease begins; a holder that is gone already ends it at once."""
        forbidden = self._forbidden.outcome(order.attempt, "taken back before it began")
        if forbidden is not None:
            self._tell_end(order, forbidden.kind, forbidden.message)
            return
        self._counts["launched"] += 1
        self._look(order)

    def halt(self, attempt: AttemptId, epoch: int, *, grace: int, reason: str) -> None:
        """Take the lease back. Its holder is not signalled, so there is no grace to wait for."""
        lease = self._leases.get(attempt) or self._unwatched.get(attempt)
        if lease is None:
            self._forbidden.add(attempt, reason)
            return
        self._end(lease, _HALTED.get(reason, OutcomeKind.CANCELLED), f"taken back: {reason}")

    def release(self, attempt: AttemptId) -> None:
        """The holder gives the lease back; nothing happens if it has ended already."""
        lease = self._leases.get(attempt) or self._unwatched.get(attempt)
        if lease is not None:
            self._end(lease, OutcomeKind.SUCCESS, "released")

    async def reattach(self, attempts: Sequence[LiveAttempt]) -> None:
        """Watch the holders that live; end the leases of those that do not."""
        for live in attempts:
            if live.state == "admitted":
                self._tell_end(live, OutcomeKind.LOST, "never began")
            else:
                self._look(live)

    def statistics(self) -> Mapping[str, int]:
        """Counts since the start, and how many leases last."""
        return self._counts | {"watched": len(self._leases)}

    def _look(self, which: Launch | LiveAttempt) -> None:
        """Begin a lease, or go on with it, if its holder is there; later, if nobody can tell now."""
        self._unwatched.pop(which.attempt, None)
        try:
            holder = _holder_of(which)
            is_there = self._watch(which, holder)
        except OSError:  # for want of descriptors: it says nothing of the holder
            timer = asyncio.get_running_loop().call_later(descriptors.AGAIN_S, self._look, which)
            self._unwatched[which.attempt] = _Unwatched(which.attempt, which.epoch, timer)
            return
        is_new = isinstance(which, Launch)
        if not is_there:
            self._tell_end(
                which, OutcomeKind.SUCCESS, f"its holder {'was gone before it began' if is_new else 'ended'}"
            )
        elif is_new:
            self._report(Started(which.attempt, which.epoch, process_json(holder)))

    def _watch(self, which: Launch | LiveAttempt, holder: Process) -> bool:
        pidfd = open_process(holder)
        if pidfd is None:
            return False
        lease = _Lease(which.attempt, which.epoch, pidfd)
        try:
            asyncio.get_running_loop().add_reader(pidfd, self._end, lease, OutcomeKind.SUCCESS, "its holder ended")
        except OSError:
            os.close(pidfd)
            raise
        self._leases[which.attempt] = lease
        return True

    def _end(self, lease: _Lease | _Unwatched, kind: OutcomeKind, message: str) -> None:
        self._forget(lease)
        self._tell_end(lease, kind, message)

    def _tell_end(self, which: Launch | LiveAttempt | _Lease | _Unwatched, kind: OutcomeKind, message: str) -> None:
        self._counts["ended"] += 1
        outcome = Outcome(kind, message=message, engine_lost=kind is OutcomeKind.LOST)
        self._report(Exited(which.attempt, which.epoch, outcome))

    def _forget(self, lease: _Lease | _Unwatched) -> None:
        if isinstance(lease, _Unwatched):
            lease.timer.cancel()
            del self._unwatched[lease.attempt]
            return
        asyncio.get_running_loop().remove_reader(lease.pidfd)
        os.close(lease.pidfd)
        del self._leases[lease.attempt]


def _holder_of(which: Launch | LiveAttempt) -> Process:
    """The process that a lease is for."""
    if isinstance(which, LiveAttempt):
        return process_from_json(which.process)
    return Process(int(which.payload.get("pid", 0)), int(which.payload.get("ticks", 0)), boot_id())
