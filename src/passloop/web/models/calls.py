"""What became of the calls that drew on an endpoint, minute by minute: how many were answered, refused, too late; and
how many it let be under way meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping

from passloop.apps.queue.views import Json, document
from passloop.drivers.calls.endpoints import NO_LIMIT
from passloop.engine.errors import NotFound
from passloop.kernel.overview import PoolView
from passloop.store.reader import Reader

__all__ = ["calls", "family_of"]

MINUTE = 60_000
OUTCOMES = ("success", "rate_limited", "failure", "timeout")


def family_of(name: str, pools: Mapping[str, PoolView]) -> list[str]:
    """A pool and all below it. Raises `NotFound`."""
    if name not in pools:
        raise NotFound(f"there is no pool {name}", hint="passloop pools")
    found = [name]
    for each in found:  # grows while it is walked
        found += [other.name for other in pools.values() if other.parent == each]
    return found


def calls(reader: Reader, name: str, family: list[str], *, now: int, minutes: int) -> Json:
    """The last `minutes` minutes, each from its first millisecond (`at`); `calls` has those still under way, too."""
    since = (now // MINUTE - minutes + 1) * MINUTE
    told: list[dict[str, int]] = [
        {"at": since + place * MINUTE, "calls": 0, **dict.fromkeys(OUTCOMES, 0)} for place in range(minutes)
    ]
    for each in reader.calls(family, since=since):
        if each.minute < minutes:
            minute = told[each.minute]
            minute["calls"] += each.calls
            if each.outcome in minute:
                minute[each.outcome] += each.calls
    return document(pool=name, minutes=told, now=now, limits=_limits(reader, name, since))


def _limits(reader: Reader, name: str, since: int) -> list[Json]:
    """From when on the pool was open or closed, and how many it let at once; `most` is null where no limit is known."""
    return [
        {"at": max(step.at, since), "gate": step.gate, "most": None if step.most >= NO_LIMIT else step.most}
        for step in reader.limit_steps([name], since=since)
    ]
