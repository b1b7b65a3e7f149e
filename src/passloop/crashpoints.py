"""Named places where the engine can be made to die, for the crash tests.

It owns the list of names and the one way to die; it never does anything unless the environment variable
`PASSLOOP_CRASHPOINT` names the place that is reached. Add the name here first: an unknown one raises at once.
"""

from __future__ import annotations

import os
import signal
from collections import Counter

__all__ = ["CRASHPOINTS", "VARIABLE", "crashpoint"]

VARIABLE = "PASSLOOP_CRASHPOINT"

CRASHPOINTS: dict[str, str] = {
    "before_commit": "a batch is written into the open transaction, nothing of it is durable",
    "after_commit": "a batch is durable, nobody was told and nothing of it was carried out",
    "before_launch": "an attempt's claim is durable, its driver was not told",
    "after_launch": "the driver was told to start an attempt, its start is not recorded",
    "before_stop": "a stop is durable, its driver was not told",
    "after_stop": "the driver was told to stop an attempt, its end is not recorded",
    "before_answers": "a batch is durable and carried out, who asked was not answered",
    "before_reattach": "the store is loaded after a restart, no driver was asked for what still runs",
    "after_reattach": "drivers have found what still runs, nothing of it is recorded",
    "before_migration_commit": "a migration is written into the open transaction",
    "during_repair": "a repaired store lies beside the damaged one and has not taken its place",
}
"""Every name with what is true at that place."""


_reached: Counter[str] = Counter()


def crashpoint(name: str) -> None:
    """Die of SIGKILL here if the environment asks for this place; `name` must be one of `CRASHPOINTS`.

    `PASSLOOP_CRASHPOINT=after_commit` means the first time it is reached, `after_commit:3` the third.
    """
    if name not in CRASHPOINTS:
        raise LookupError(f"unknown crash point {name!r}: add it to CRASHPOINTS")
    wanted, _, nth = os.environ.get(VARIABLE, "").partition(":")
    if wanted != name:
        return
    _reached[name] += 1
    if _reached[name] >= int(nth or 1):
        os.kill(os.getpid(), signal.SIGKILL)
