"""What became of the calls that drew on an endpoint, step by step of time: how many were answered, refused, too late;
and how many it let be under way meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from passloop.apps.queue.views import Json, document
from passloop.drivers.calls.endpoints import NO_LIMIT
from passloop.engine.errors import NotFound
from passloop.kernel.overview import PoolView
from passloop.store.reader import Reader

__all__ = ["Steps", "calls", "family_of", "last_minutes", "steps_between"]

MINUTE = 60_000
ROUND = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 28_800, 86_400)
"""Steps that are easy to read, in s."""
MOST = 60
"""Steps between two times, about."""
OUTCOMES = ("success", "rate_limited", "failure", "timeout")


class Steps(NamedTuple):
    """A stretch of engine time from `since`, in `number` steps of `step`; in ms."""

    since: int
    step: int
    number: int

    @property
    def until(self) -> int:
        """Its end."""
        return self.since + self.step * self.number


def last_minutes(now: int, minutes: int) -> Steps:
    """The last minutes, the present one too, each from its first millisecond."""
    return Steps((now // MINUTE - minutes + 1) * MINUTE, MINUTE, minutes)


def steps_between(since: int, until: int) -> Steps:
    """At most some sixty round steps that hold all between two times."""
    longest = max(1, until - since)
    step = next((each * 1_000 for each in ROUND if each * 1_000 * MOST >= longest), -(-longest // MOST))
    first = since // step * step
    return Steps(first, step, (until - first) // step + 1)


def family_of(name: str, pools: Mapping[str, PoolView]) -> list[str]:
    """A pool and all below it. Raises `NotFound`."""
    if name not in pools:
        raise NotFound(f"there is no pool {name}", hint="passloop pools")
    found = [name]
    for each in found:  # grows while it is walked
        found += [other.name for other in pools.values() if other.parent == each]
    return found


def calls(reader: Reader, name: str, family: list[str], steps: Steps, *, now: int) -> Json:
    """Each step from its first millisecond (`at`); `calls` has those still under way, too."""
    told: list[dict[str, int]] = [
        {"at": steps.since + place * steps.step, "calls": 0, **dict.fromkeys(OUTCOMES, 0)}
        for place in range(steps.number)
    ]
    for each in reader.calls(family, since=steps.since, step=steps.step):
        if each.place < steps.number:
            counted = told[each.place]
            counted["calls"] += each.calls
            if each.outcome in counted:
                counted[each.outcome] += each.calls
    until = min(now, steps.until)
    return document(
        pool=name, step=steps.step, steps=told, until=until, limits=_limits(reader, name, steps.since, until)
    )


def _limits(reader: Reader, name: str, since: int, until: int) -> list[Json]:
    """From when on the pool was open or closed, and how many it let at once; `most` is null where no limit is known."""
    return [
        {"at": max(step.at, since), "gate": step.gate, "most": None if step.most >= NO_LIMIT else step.most}
        for step in reader.limit_steps([name], since=since)
        if step.at <= until
    ]
