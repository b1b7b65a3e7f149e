"""What kept a lane out in the past: who was on a GPU, what was wrong with it, and an endpoint's pauses after refusals.

Looks at devices are events, so the journal has them; an endpoint's pause is told by the attempts before and after it.
It is pure, and says nothing of now: that is the machine's own word.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from passloop.apps.queue.gaps import Gap

__all__ = ["Kept", "cut", "paused", "seen_away"]

COOLING = "cooling"
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


def paused(starts: Sequence[int], refused: Iterable[int], until: int) -> list[Kept]:
    """The pauses of an endpoint: from each refusal (429) to the next start of a call. Both are times, ascending."""
    found: list[Kept] = []
    for at in refused:
        place = bisect_right(starts, at)
        end = starts[place] if place < len(starts) else until
        if not found or at >= found[-1].end:
            found.append(Kept(at, end, COOLING, "the endpoint was paused after it refused a call (429)"))
    return found


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
            f"pid {one['pid']}" + (f" ({one['user']})" if one.get("user") else "") for one in device["foreign"]
        )
        return "vetoed", f"it was used by {who}, not ours"
    return None
