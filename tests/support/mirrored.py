"""Everything a machine knows, as plain data: so one that was rebuilt from its rows can be held against one that grew.

Laws that hold in both are not enough: a machine may agree with itself and yet remember something else than was true.
Each field is compared, or stands in `_UNLIKE` with the reason why it may differ; so a field that is added is compared
from then on. It changes nothing, but draws that count no more are dropped.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import is_dataclass
from enum import Enum
from functools import cache
from typing import Any

from passloop.kernel.machine import Machine
from passloop.kernel.pools import RatePool, ScalarPool
from passloop.kernel.records import Attempt, Group, Shape, Task
from passloop.kernel.source_records import Source, Unit
from passloop.kernel.source_rows import SourceState
from passloop.kernel.state import State
from passloop.kernel.workers import Workers

__all__ = ["differences"]

_UNLIKE: dict[type, dict[str, str]] = {
    State: {
        "turn": "what the last turn touched is written, and forgotten",
        "settings": "given, not kept",
        "now": "stands still while a turn changes nothing",
        "seed": "comes with each turn",
        "final": "forgotten with the next turn",
        "over": "forgotten with the next turn",
        "watched": "told again after a restart",
        "wakeups": "a heap with stale entries; a twin that never restarts shows that none is missed",
        "shapes": "those of final tasks are forgotten; each task has its own compared",
        "exclusive_shapes": "as shapes",
        "_asks": "as shapes",
        "_bits": "places in masks go by the order in which pools came to be known",
        "durations": "the last of each class are kept; each task has its forecast compared",
    },
    ScalarPool: {"bit": "as _bits"},
    Attempt: {"end": "reckoned anew when it is asked for"},
    Workers: {
        "_requests": "texts of what was asked about, kept to be quick",
        "recall_at": "the wake-up for all that wait behind is set again by the first turn",
    },
}
_NAMED = {Task: "id", Attempt: "id", Group: "name", ScalarPool: "name", Unit: "number", Source: "run"}
"""Records that others point to: there they are told by name, and compared in their own place."""


def differences(restored: Machine, live: Machine) -> list[str]:
    """What the two know differently: `field: restored, live` for each."""
    first, second = _known_of(restored.state), _known_of(live.state)
    unlike = [
        name for name in first.keys() | second.keys() if not _same(first.get(name), second.get(name), inside=False)
    ]
    known = ({name: _plain(each.get(name), inside=False) for name in sorted(unlike)} for each in (first, second))
    return list(_compare("state", *known))


def _compare(where: str, restored: object, live: object) -> Iterator[str]:
    if isinstance(restored, dict) and isinstance(live, dict):
        for name in [*restored, *(name for name in live if name not in restored)]:
            yield from _compare(f"{where}.{name}", restored.get(name, "nothing"), live.get(name, "nothing"))
    elif restored != live:
        yield f"{where}: restored {restored}, live {live}"


def _same(one: Any, other: Any, *, inside: bool = True) -> bool:
    """Whether two are alike at a glance, which costs a fraction of making data of both. What is not may be yet."""
    kind = one.__class__
    if kind is not other.__class__:
        return False
    if one is other or kind in (int, str, bool):
        return bool(one == other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(each, other[key], inside=inside) for key, each in one.items())
    name = _name_of(kind)
    if inside and name is not None:
        return bool(getattr(one, name) == getattr(other, name))
    if isinstance(one, list | deque) or kind is tuple:
        return len(one) == len(other) and all(
            _same(each, its, inside=inside) for each, its in zip(one, other, strict=True)
        )
    if isinstance(one, set | frozenset | tuple | Enum) or _is_frozen(kind):
        return bool(one == other)
    return _same_record(one, other)


def _same_record(one: Any, other: Any) -> bool:
    if isinstance(one, RatePool):
        return _rate(one) == _rate(other)
    if isinstance(one, Shape):
        forecasts = [(each.forecast.bound(), each.forecast.mean()) for each in (one, other)]
        return one.spec == other.spec and forecasts[0] == forecasts[1]
    slots = _slots(one.__class__)
    return all(_same(getattr(one, name), getattr(other, name)) for name in slots) and _same(
        getattr(one, "__dict__", None), getattr(other, "__dict__", None)
    )


@cache
def _name_of(kind: type) -> str | None:
    return next((name for named, name in _NAMED.items() if issubclass(kind, named)), None)


@cache
def _is_frozen(kind: type) -> bool:
    return is_dataclass(kind) and bool(kind.__dataclass_params__.frozen)  # type: ignore[attr-defined]


def _known_of(state: State) -> dict[str, Any]:
    """The state, without what is forgotten with the next turn and without what means nothing."""
    for pool in state.pools.values():
        if isinstance(pool, RatePool):
            pool.draws(state.now)  # those that count no more are forgotten whenever somebody looks
    known: dict[str, Any] = {name: value for name, value in vars(state).items() if name not in _UNLIKE[State]}
    live = {number: task for number, task in state.tasks.items() if not task.final}
    known["tasks"] = live
    known["keys"] = {key: task for key, task in state.keys.items() if task in live}
    waiting = {number: [t for t in tasks if t in live] for number, tasks in state.dependents.items()}
    known["dependents"] = {number: sorted(tasks) for number, tasks in waiting.items() if tasks}
    known["sources"] = {run: one for run, one in state.sources.items() if _is_kept(one)}
    known["groups"] = {name: group for name, group in state.groups.items() if _is_known(group)}
    known["pools"] = {name: pool for name, pool in state.pools.items() if pool.capacity or pool.holders}
    known["policies"] = {name: state.policies.get(name) for name in known["pools"]}
    known["queue"] = {
        str(lane.key[:2]) + f" {lane.shape.spec} {lane.variant_from}": sorted(lane.places())
        for lane in state.queue.lanes()
    }
    return known


def _is_kept(source: Source) -> bool:
    return source.ended_at is None or source.state is SourceState.FAILED


def _is_known(group: Group) -> bool:
    """Whether it differs from one that was never spoken of."""
    told = group.virtual_time, group.pending, group.held, group.work, group.busy
    return any(told) or group.path is not group.chain


def _plain(value: Any, *, inside: bool = True) -> object:
    """As data; `inside` another record those that have a name are told by it."""
    if value is None or isinstance(value, str | int | float | Enum):
        return value
    if isinstance(value, Counter):
        return {str(key): count for key, count in sorted(value.items(), key=str) if count}
    if isinstance(value, dict):
        return {
            str(key): _plain(each, inside=inside) for key, each in sorted(value.items(), key=lambda one: str(one[0]))
        }
    if isinstance(value, set | frozenset):
        return sorted(map(str, value))
    for kind, name in _NAMED.items():
        if inside and isinstance(value, kind):
            return getattr(value, name)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return repr(value)
    if isinstance(value, list | tuple | deque):
        return [_plain(each, inside=inside) for each in value]
    if isinstance(value, RatePool):
        return _rate(value)
    if isinstance(value, Shape):
        return (repr(value.spec), value.forecast.bound(), value.forecast.mean())
    return _fields(value)


def _rate(pool: RatePool) -> dict[str, object]:
    """A rate without draws that count no more; while nobody knows how large it is, draws are not kept."""
    fields = _fields(pool)
    if not pool.is_known:
        return {name: value for name, value in fields.items() if name not in ("_drawn", "_drawn_by", "_spells")}
    counting = {attempt: drawn for attempt, drawn in pool._drawn_by.items() if not drawn[0].is_over}
    return {**fields, "_drawn_by": _plain(counting)}


def _fields(value: Any) -> dict[str, object]:
    fields = {name: _plain(getattr(value, name)) for name in _slots(value.__class__)}
    return fields | {name: _plain(each) for name, each in getattr(value, "__dict__", {}).items()}


@cache
def _slots(kind: type) -> tuple[str, ...]:
    """The slots of a class that are compared."""
    unlike = {name for each in kind.__mro__ for name in _UNLIKE.get(each, ())}
    return tuple(name for each in kind.__mro__ for name in getattr(each, "__slots__", ()) if name not in unlike)
