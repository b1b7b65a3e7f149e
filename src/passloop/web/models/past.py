"""What kept a lane out in the past: who was on a GPU, what was wrong with it, and when an endpoint was closed.

Looks at devices are events, so the journal has them; of limits the store keeps each change of their gate. It is pure,
and says nothing of now: that is the machine's own word.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from passloop.apps.queue.gaps import Gap
from passloop.kernel.cooldowns import Gate
from passloop.kernel.events import Foreign
from passloop.store.limits import LimitStep

__all__ = ["Kept", "closed", "cut", "seen_away"]

COOLING = "cooling"
CLOSED = {
    "cooling": "{} was closed after it refused a call",
    "half_open": "{} was tried with one call after it had refused some",
    "dead": "{} was dead",
}
WHERE_PAUSED = ("blocked", "backoff")
"""A pause of an endpoint explains a gap only where somebody waited."""


class Kept(NamedTuple):
    """From `start` to `end` (ms) something kept a lane out: a reason, and the sentence that says it."""

    start: int
    end: int
    reason: str
    sentence: str


def seen_away(looks: Iterable[tuple[int, str]], until: int) -> dict[str, list[Kept]]:
    """By device, when others were on it, or it was quarantined or gone. `looks` are (time, events as JSON) in order."""
    found: dict[str, list[Kept]] = {}
    open_: dict[str, Kept] = {}

    def turn(uuid: str, at: int, why: tuple[str, str] | None) -> None:
        before = open_.pop(uuid, None)
        if before is not None and why == before[2:]:
            open_[uuid] = before
            return
        if before is not None and at > before.start:
            found.setdefault(uuid, []).append(before._replace(end=at))
        if why is not None:
            open_[uuid] = Kept(at, until, *why)

    known: set[str] = set()
    for at, events in looks:
        for uuid, why in _told(events, known):
            known.add(uuid)
            turn(uuid, at, why)
    for uuid in list(open_):
        turn(uuid, until, None)
    return found


def closed(steps: Iterable[LimitStep], until: int) -> list[Kept]:
    """When an endpoint or one of its models was closed. `steps` are of these limits, in the order of time."""
    found: list[Kept] = []
    since: dict[str, LimitStep] = {}
    for step in steps:
        began = since.pop(step.pool, None)
        if began is not None:
            found.append(_closed(began, step.at))
        if step.gate != Gate.OPEN:
            since[step.pool] = step
    found += [_closed(began, until) for began in since.values()]
    return sorted(found)


def _closed(began: LimitStep, end: int) -> Kept:
    return Kept(began.at, end, COOLING, CLOSED.get(began.gate, CLOSED["cooling"]).format(began.pool))


def cut(gap: Gap, sentence: str, kept: Sequence[Kept]) -> Iterator[Kept]:
    """A gap in pieces: what kept the lane out, and between the gap's own reason."""
    at = gap.start
    for each in kept:
        if each.end <= at or each.start >= gap.end or (each.reason == COOLING and gap.reason not in WHERE_PAUSED):
            continue
        if each.start > at:
            yield Kept(at, each.start, gap.reason, sentence)
        yield each._replace(start=max(at, each.start), end=min(each.end, gap.end))
        at = min(each.end, gap.end)
    if at < gap.end:
        yield Kept(at, gap.end, gap.reason, sentence)


def _told(events: str, known: set[str]) -> Iterator[tuple[str, tuple[str, str] | None]]:
    """What the looks of one turn say of each device: why it may not be used, or None."""
    for event in msgspec.json.decode(events):
        if event.get("type") == "QuarantineReleased":
            yield str(event.get("uuid")), None
        elif event.get("type") == "DevicesSeen":
            seen = {str(device["uuid"]): _why(device) for device in event.get("devices") or ()}
            yield from seen.items()
            if event.get("complete", True):
                yield from ((uuid, ("lost", "the GPU was gone")) for uuid in known - seen.keys())


def _why(device: Mapping[str, Any]) -> tuple[str, str] | None:
    if device.get("fault"):
        return "quarantined", f"it was quarantined: {device['fault']}"
    if device.get("strays"):
        return "quarantined", "it was quarantined: a process of an ended attempt was still on it"
    if device.get("foreign"):
        who = ", ".join(
            Foreign(one["pid"], one.get("user") or "", one.get("name") or "").who for one in device["foreign"]
        )
        return "vetoed", f"it was used by {who}, not ours"
    return None
