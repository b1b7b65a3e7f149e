"""The phase a trial is in, in `phase.json`, and how long each took. For people: nothing is decided by the file.

The file is replaced whole, so that a reader never sees half of it; one that cannot be written stops no trial. `queued`
is a phase, too, but before this process.
"""

from __future__ import annotations

import contextlib
from enum import StrEnum
from pathlib import Path
from typing import Any

from passloop.clock import Clock, iso_utc

from .files import replace_json

__all__ = ["PHASE_FILE", "Phase", "PhaseBoard"]

PHASE_FILE = "phase.json"


class Phase(StrEnum):
    """What a trial does, in this order."""

    LEASED = "leased"
    DOWNLOADING = "downloading"
    STARTING = "starting"
    READY = "ready"
    WARMUP = "warm-up"
    MEASURING = "measuring"
    STOPPING = "stopping"
    VERIFYING = "verifying"
    ENDED = "ended"


class PhaseBoard:
    """Shows the phase and adds up the spans (ms)."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._path = folder / PHASE_FILE
        self._clock = clock
        self._since = clock.now()
        self._facts: dict[str, Any] = {}
        self.phase = Phase.LEASED
        self._spans: dict[str, float] = {}
        self._show()

    def enter(self, phase: Phase, **facts: Any) -> None:
        """The trial is in this phase from now on; `facts` (point, points, limit in ms) are shown beside it."""
        if (phase, facts) == (self.phase, self._facts):
            return
        now = self._clock.now()
        self._spans[self.phase] = self._spans.get(self.phase, 0.0) + now - self._since
        self.phase, self._since, self._facts = phase, now, facts
        self._show()

    def spans(self) -> dict[str, float]:
        """How long each phase took until now, in ms."""
        now = self._clock.now()
        return self._spans | {self.phase: self._spans.get(self.phase, 0.0) + now - self._since}

    def _show(self) -> None:
        since = iso_utc(self._clock.wall())
        with contextlib.suppress(OSError):
            replace_json(self._path, {"phase": self.phase, "since": since, **self._facts, "spans": self._spans})
