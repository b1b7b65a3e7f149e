"""How much an object holds, by way: the lengths of all containers that are reached from it through attributes. For
tests that something does not grow.
"""

from __future__ import annotations

import gc
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["held_by"]

CONTAINERS = (dict, list, set, frozenset, deque, tuple, bytearray)


def held_by(root: object) -> Counter[str]:
    """How many things lie in the containers at each way from `root`, as `driver._watches`; keys and places are left
    out of ways, so that what a hundred watches hold is one figure.
    """
    gc.collect()
    found: Counter[str] = Counter()
    seen: set[int] = set()
    left: deque[tuple[str, Any]] = deque([("", root)])
    while left:
        way, thing = left.popleft()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if isinstance(thing, CONTAINERS):
            found[way] += len(thing)
        left.extend((f"{way}{step}", inner) for step, inner in _inside(thing) if _is_ours(inner))
    return found


def _inside(thing: object) -> Iterator[tuple[str, object]]:
    if isinstance(thing, Mapping):
        yield from (("[]", inner) for pair in list(thing.items()) for inner in pair)
    elif isinstance(thing, CONTAINERS):
        yield from (("[]", inner) for inner in list(thing))
    else:
        yield from ((f".{name}", inner) for name, inner in _attributes(thing))


def _attributes(thing: object) -> Iterator[tuple[str, object]]:
    names = set(getattr(thing, "__dict__", ()))
    for kind in type(thing).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        names.update([slots] if isinstance(slots, str) else slots)
    for name in sorted(names):
        try:
            yield name, object.__getattribute__(thing, name)
        except AttributeError:
            continue


def _is_ours(thing: object) -> bool:
    return isinstance(thing, CONTAINERS) or type(thing).__module__.startswith("passloop")
