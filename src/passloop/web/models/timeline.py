"""The timeline: a lane for each GPU and each endpoint, with the attempts on it, and why nothing ran where nothing did.

What is over is told by records and journal; why nothing runs just now is the machine's own word. It reads only.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from passloop.apps.queue.gaps import REASONS, Gap, Wait, first_reasons, gaps_of
from passloop.apps.queue.views import Json, document
from passloop.engine.engine import Engine
from passloop.kernel.blockers import BlockerCode, closed_pool, unusable_device
from passloop.kernel.cooldowns import Gate
from passloop.kernel.device_pool import DeviceState
from passloop.kernel.ids import TaskId
from passloop.kernel.machine import Machine
from passloop.kernel.overview import DeviceView, PoolView
from passloop.kernel.resources import Request
from passloop.kernel.tasks import AttemptRow, TaskSpec
from passloop.store.filters import TaskFilter
from passloop.store.reader import Reader
from passloop.store.spans import Span, WaitingTask

from .fitting import can_ever_fit
from .lanes import Bar, merged, packed
from .past import Kept, closed, cut, seen_away

__all__ = ["DAY", "timeline"]

DAY = 86_400_000
MOST = 20_000
"""Attempts and tasks that are looked at; of more the newest."""
CPU_LANE = "cpu"
HEADS = 20
"""Ready tasks among which the first is sought that can fit here."""
DEVICES = ("GPU-", "MIG-")
PROVIDER = "provider/"
LIVE_REASONS = {
    "vetoed": "somebody else uses the GPU",
    "quarantined": "the GPU is quarantined",
    "lost": "the GPU is gone",
    "reserved": "kept for a task that has waited longer",
    "cooling": "the endpoint is cooling down",
    "probing": "the endpoint is being tried",
    "dead": "the endpoint is dead",
}


@dataclass(frozen=True, slots=True)
class Live:
    """How things are now: devices and pools, and why a lane (by id) is not used, as (reason, sentence)."""

    now: int
    devices: Sequence[DeviceView]
    pools: Mapping[str, PoolView]
    why: Mapping[str, tuple[str, str]]
    waiting: str


async def timeline(engine: Engine, since: int, until: int, *, width: int) -> Json:
    """The document for the time from `since` to `until` in ms, for a drawing `width` pixels wide."""
    heads = await engine.read(_heads)
    live = await engine.look(lambda machine, now: _live(machine, now, heads))
    return await engine.read(lambda reader: _Drawing(reader, live, since, until, width=width).document())


def _heads(reader: Reader) -> tuple[int, ...]:
    """The ready tasks that come first."""
    return reader.page(TaskFilter(), states=("ready",), order="priority", limit=HEADS).ids


def _live(machine: Machine, now: int, heads: Sequence[int]) -> Live:
    devices, pools = machine.devices(), machine.pools(now)
    why = {**dict(_unusable(machine)), **dict(_closed(machine))}
    why |= {
        each.uuid: ("reserved", f"kept for task {each.reserved_for}, which has waited longer")
        for each in devices
        if each.reserved_for is not None and each.uuid not in why
    }
    return Live(now, devices, {pool.name: pool for pool in pools}, why, next(_blocked(machine, heads, now), ""))


def _blocked(machine: Machine, heads: Sequence[int], now: int) -> Iterator[str]:
    """What the first ready tasks wait for, of those that can fit here at all."""
    for task in heads:
        blockers = machine.explain(TaskId(task), now)
        if blockers and not any(blocker.code is BlockerCode.CAPACITY for blocker in blockers):
            yield f"task {task} {blockers[0].sentence}"


def _unusable(machine: Machine) -> Iterator[tuple[str, tuple[str, str]]]:
    for uuid, device in machine.state.devices.devices.items():
        if device.state is DeviceState.LOST:
            yield uuid, ("lost", LIVE_REASONS["lost"])
        elif device.state is DeviceState.QUARANTINED:
            yield uuid, ("quarantined", unusable_device(device).sentence)
        elif device.foreign:
            yield uuid, ("vetoed", unusable_device(device).sentence)


def _closed(machine: Machine) -> Iterator[tuple[str, tuple[str, str]]]:
    for name, pool in machine.state.pools.items():
        gate = pool.gate()
        if gate is not Gate.OPEN:
            reason = {Gate.HALF_OPEN: "probing", Gate.DEAD: "dead"}.get(gate, "cooling")
            yield name, (reason, closed_pool(machine.state, pool, gate).sentence)


class _Drawing:
    """One timeline in the making."""

    def __init__(self, reader: Reader, live: Live, since: int, until: int, *, width: int) -> None:
        self._reader = reader
        self._live = live
        self._span = (since, max(since + 1, min(until, live.now)))
        self._until = until
        self._pixel = max(1, (until - since) // width)
        self._seq = reader.last_seq()
        self._spans = reader.spans(since, until, limit=MOST)
        self._waits = reader.waits(since, until, limit=MOST)
        self._attempts: dict[int, list[Span]] = defaultdict(list)
        for span in reversed(self._spans):
            self._attempts[span.attempt.task].append(span)
        self._fit: dict[Request, bool] = {}
        self._kept = {**seen_away(reader.looks(until), live.now), **dict(self._pauses())}

    def document(self) -> Json:
        bars: dict[str, list[Bar]] = defaultdict(list)
        for span in self._spans:
            for lane in self._lanes_of(span.attempt):
                bars[lane].append(self._bar(span))
        return document(
            seq=self._seq,
            **{"from": self._span[0], "to": self._until, "now": self._live.now},
            truncated=len(self._spans) == MOST or len(self._waits) == MOST,
            reasons={**REASONS, **LIVE_REASONS},
            lanes=[*self._gpu_lanes(bars), *self._endpoint_lanes(bars), *self._cpu_lane(bars)],
        )

    def _gpu_lanes(self, bars: Mapping[str, list[Bar]]) -> Iterator[Json]:
        why = first_reasons(self._waits_where(_wants_gpu), self._span)
        known = {device.uuid: device for device in self._live.devices}
        gone = sorted(lane for lane in bars if lane.startswith(DEVICES) and lane not in known)
        for uuid in [*known, *gone]:
            device = known.get(uuid)
            label = f"GPU {device.index}" if device is not None else uuid
            about = {"label": label, "name": device.name if device else "", "virtual": bool(device and device.virtual)}
            yield self._lane(uuid, "gpu", bars.get(uuid, []), why, about)

    def _endpoint_lanes(self, bars: Mapping[str, list[Bar]]) -> Iterator[Json]:
        limits = [name for name, pool in self._live.pools.items() if pool.kind == "limit" and pool.parent]
        used = {lane for lane in bars if lane != CPU_LANE and not lane.startswith(DEVICES)}
        for lane in sorted({self._endpoint(name) for name in limits} | used):
            waits = self._waits_where(lambda spec, lane=lane: self._wants_endpoint(spec, lane))
            about = {"label": lane, "name": lane, "virtual": False}
            yield self._lane(lane, "endpoint", bars.get(lane, []), first_reasons(waits, self._span), about)

    def _cpu_lane(self, bars: Mapping[str, list[Bar]]) -> Iterator[Json]:
        if CPU_LANE in bars:
            yield self._lane(CPU_LANE, "cpu", bars[CPU_LANE], None, {"label": "CPU", "name": "CPU", "virtual": False})

    def _lane(self, lane: str, kind: str, bars: list[Bar], why: Sequence[Gap] | None, about: dict[str, Any]) -> Json:
        drawn = packed(merged(bars, self._pixel))
        busy = ((bar.start, bar.end) for bar in drawn)
        gaps = [] if why is None else gaps_of(busy, self._span, why, least=self._pixel)
        return {
            "id": lane,
            "kind": kind,
            **about,
            "tracks": 1 + max((bar.track for bar in drawn), default=0),
            "bars": [_bar_view(bar) for bar in drawn],
            "gaps": [self._gap_view(lane, gap) for gap in self._told(lane, gaps)],
        }

    def _told(self, lane: str, gaps: Sequence[Gap]) -> Iterator[Kept]:
        """Gaps in pieces by what kept the lane out then."""
        kept = self._kept.get(lane, ())
        return (piece for gap in gaps for piece in cut(gap, REASONS[gap.reason], kept))

    def _gap_view(self, lane: str, gap: Kept) -> Json:
        reason, sentence = gap.reason, gap.sentence
        if gap.end >= self._live.now:
            reason, sentence = self._live.why.get(lane, (reason, sentence))
            if reason == "blocked" and self._live.waiting:
                sentence = self._live.waiting
        return {"start": gap.start, "end": gap.end, "reason": reason, "sentence": sentence}

    def _pauses(self) -> Iterator[tuple[str, list[Kept]]]:
        """By endpoint with calls, when it or one of its models was closed."""
        calls = (span.attempt for span in self._spans if span.attempt.driver == "calls")
        for lane in {lane for attempt in calls for lane in self._lanes_of(attempt)}:
            names = [lane, *(pool.name for pool in self._live.pools.values() if pool.parent == lane)]
            found = closed(self._reader.limit_steps(names, since=self._span[0]), self._live.now)
            if found:
                yield lane, found

    def _bar(self, span: Span) -> Bar:
        attempt = span.attempt
        start = attempt.started_at or attempt.admitted_at
        end = self._live.now if attempt.ended_at is None else attempt.ended_at
        outcome = None if attempt.outcome is None else attempt.outcome.kind.value
        about = {
            "attempt": attempt.id,
            "number": attempt.epoch,
            "task": attempt.task,
            "name": span.name,
            "run": span.run,
            "state": attempt.state,
            "outcome": outcome,
        }
        return Bar(start, max(end, start), bad=int(outcome not in (None, "success")), about=about)

    def _lanes_of(self, attempt: AttemptRow) -> tuple[str, ...]:
        if attempt.allocation.devices:
            return tuple(grant.uuid for grant in attempt.allocation.devices)
        if attempt.driver == "calls":
            return tuple({self._endpoint(name) for name, _ in attempt.allocation.amounts if ":" not in _last(name)})
        return (CPU_LANE,)

    def _endpoint(self, name: str) -> str:
        """The pool of the endpoint that a model's pool belongs to; of an endpoint, itself."""
        pool = self._live.pools.get(name)
        parent = pool.parent if pool is not None else None
        return name if parent is None or parent.startswith(PROVIDER) else parent

    def _wants_endpoint(self, spec: TaskSpec, lane: str) -> bool:
        return any(self._endpoint(name) == lane for variant in spec.request.variants for name, _ in variant.amounts)

    def _waits_where(self, wanted: Any) -> Iterator[Wait]:
        """What the tasks waited for whose spec is one of those wanted."""
        asks: dict[int, TaskSpec | None] = {}
        ends = {task.task: task.ended_at or self._live.now for task in self._waits}
        for task in self._waits:
            if task.spec not in asks:
                spec = self._reader.spec(task.spec)
                asks[task.spec] = spec if wanted(spec) else None
            asked = asks[task.spec]
            if asked is not None:
                spans = self._attempts.get(task.task, [])
                ready = "blocked" if spans or self._fits(asked) else "unfit"
                yield from _waits_of(task, spans, ends, self._live.now, ready=ready)

    def _fits(self, spec: TaskSpec) -> bool:
        """Whether a task that never ran can fit on this machine as it is now."""
        if spec.request not in self._fit:
            self._fit[spec.request] = can_ever_fit(spec, self._live.devices, self._live.pools.values())
        return self._fit[spec.request]


def _waits_of(
    task: WaitingTask, spans: Sequence[Span], ends: Mapping[int, int], now: int, *, ready: str
) -> Iterator[Wait]:
    """Everything that one task waited for, as far as the records of this time say; `ready` is why it did when ready."""
    at = max([task.submitted_at, *(ends.get(need.task, 0) for need in task.after)])
    if not spans or spans[0].attempt.epoch == 1:
        claimed = spans[0].attempt.admitted_at if spans else (task.ended_at or now)
        freed = min(at, claimed)
        yield Wait(task.submitted_at, freed, "dependency")
        yield Wait(freed, claimed, "held" if not spans and task.state == "held" else ready)
    for place, span in enumerate(spans):
        attempt = span.attempt
        yield Wait(attempt.admitted_at, attempt.started_at or attempt.ended_at or now, "starting")
        if attempt.ended_at is not None:
            following = spans[place + 1].attempt.admitted_at if place + 1 < len(spans) else task.ended_at or now
            yield Wait(attempt.ended_at, following, "backoff")


def _wants_gpu(spec: TaskSpec) -> bool:
    return any(variant.devices is not None for variant in spec.request.variants)


def _last(name: str) -> str:
    """What follows the host of a pool's name: rates have a colon there, and so has a port in the host."""
    return name.partition("/")[2]


def _bar_view(bar: Bar) -> Json:
    one = bar.about or dict.fromkeys(("attempt", "number", "task", "name", "run", "state", "outcome"))
    return {"start": bar.start, "end": bar.end, "track": bar.track, "count": bar.many, "bad": bar.bad, **one}
