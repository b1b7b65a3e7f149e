"""How many tasks of a submission may run at once: a limit of its own, kept by the kernel like any other pool.

The limit has the name of the run, so submissions of one name share it, and the newest says how large it is. It asks
nobody and stores nothing.
"""

from __future__ import annotations

import re

import msgspec

from passloop.kernel.events import PoolDeclared, PoolKind
from passloop.kernel.ids import PoolName

from .wire import WireSpec, WireSubmission, WireTask

__all__ = ["PREFIX", "limited"]

PREFIX = "parallel/"
"""What the names of these pools begin with."""
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_.-]+")
_LONGEST = 80


def limited(wire: WireSubmission) -> tuple[WireSubmission, PoolDeclared | None]:
    """The submission with one place of its limit in what each task asks, and the limit, to be declared before it; None
    where as many may run as fit.
    """
    if wire.max_parallel is None:
        return wire, None
    plain = _NOT_IN_A_NAME.sub("-", wire.name or wire.spec.program)[:_LONGEST].strip("-")
    pool = PoolName(f"{PREFIX}{plain or 'command'}")
    tasks = tuple(_placed(task, pool) for task in wire.tasks)
    asked = msgspec.structs.replace(wire, spec=_with_a_place(wire.spec, pool), tasks=tasks)
    return asked, PoolDeclared(pool, PoolKind.LIMIT, wire.max_parallel)


def _placed(task: WireTask, pool: PoolName) -> WireTask:
    return task if task.spec is None else msgspec.structs.replace(task, spec=_with_a_place(task.spec, pool))


def _with_a_place(spec: WireSpec, pool: PoolName) -> WireSpec:
    variants = (msgspec.structs.replace(one, amounts={**one.amounts, pool: 1}) for one in spec.request)
    return msgspec.structs.replace(spec, request=tuple(variants))
