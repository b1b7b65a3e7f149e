"""Whether a machine wakes when time alone lets somebody start.

It asks a machine that was restored from the rows, whose full pass knows of no wake-up and of nothing that was planned
before; it changes nothing of the world that it judges.
"""

from __future__ import annotations

from passloop.kernel.changes import Turn
from passloop.kernel.instructions import WatchDevices

from .builders import HOUR, World

__all__ = ["time_alone_changes_nothing"]

FOR_EVER = 40 * 24 * HOUR
"""As good as never, in ms: whoever could start by time alone has started long before."""


def time_alone_changes_nothing(world: World) -> None:
    """Until the next wake-up a full pass starts nobody and keeps nothing for anybody, whenever it comes.

    Looked at are the last moment and one half way, in turns.
    """
    last = world.now + FOR_EVER if world.wake_at is None else world.wake_at - 1
    when = last if len(world.turns) // 4 % 2 else (world.now + last) // 2
    if when <= world.now:
        return
    turn = world.restored().handle((), when, 0)
    late = f"{when - world.now} ms later, {(world.wake_at or last) - when} ms before it would wake, time alone"
    assert _is_idle(turn), f"{late} changes {turn.changes} and orders {turn.instructions}"


def _is_idle(turn: Turn) -> bool:
    """Whether a turn changed nothing; which devices are worth a look is told again after a restart."""
    return not turn.changes and all(isinstance(order, WatchDevices) for order in turn.instructions)
