"""What a sweep would do, without doing it: how many cells, the exact commands of the first, what it may take,
and what can never fit here. Nothing is submitted.

Whether something fits is asked of a kernel that is given this box and one task; there is no second rule here.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from passloop.apps.errors import did_you_mean
from passloop.apps.templates import INDEX, PYTHON, Template
from passloop.apps.text import UNSAFE, shown
from passloop.kernel.amounts import CPU_UNIT, SHARE_WHOLE
from passloop.kernel.changes import Refusal
from passloop.kernel.events import DeviceSeen, DevicesSeen, Event, PoolDeclared, PoolKind, Submitted
from passloop.kernel.ids import PoolName
from passloop.kernel.machine import Machine
from passloop.kernel.resources import CPU
from passloop.kernel.tasks import NewTask, TaskSpec

from .classes import class_words
from .convert import task_spec_of
from .spec_checks import REPLICA, SEED
from .sweep import Cell, Sweep
from .wire import WireSpec

__all__ = ["Box", "Plan", "box_of_views", "never_fits", "plan_of"]

FIRST_CELLS = 10
NEVER = "it can never fit on this machine: "
HOUR_MS = 3_600_000
DONE = frozenset({"succeeded"})
LIVE = frozenset({"waiting", "held", "backoff", "ready", "admitted", "running", "stopping"})

States = Callable[[Sequence[str]], Mapping[str, str]]
"""The state of the newest task of each key, for the keys that have one."""


@dataclass(frozen=True, slots=True)
class Box:
    """What a machine has: devices and pools, as the kernel is told of them."""

    devices: tuple[DeviceSeen, ...] = ()
    pools: tuple[PoolDeclared, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What would happen. Spans in ms; `each_ms` is what one cell is thought to take, and `basis` says why."""

    run: str
    points: int
    cells: int
    done: int
    live: int
    first: tuple[Cell, ...]
    each_ms: int | None
    basis: str
    gpu_hours: float | None
    cpu_hours: float | None
    impossible: str | None
    warnings: tuple[str, ...]

    @property
    def to_run(self) -> int:
        """Cells that would run: neither succeeded nor under way."""
        return self.cells - self.done - self.live

    def as_json(self) -> dict[str, Any]:
        """The document of `plan --json`."""
        return {
            "schema_version": 1,
            "run": self.run,
            "points": self.points,
            "cells": self.cells,
            "done": self.done,
            "live": self.live,
            "to_run": self.to_run,
            "first": [_cell_view(cell) for cell in self.first],
            "estimate": {
                "each_ms": self.each_ms,
                "basis": self.basis,
                "gpu_hours": self.gpu_hours,
                "cpu_hours": self.cpu_hours,
            },
            "never_fits": self.impossible,
            "warnings": list(self.warnings),
        }

    def as_text(self) -> str:
        """The same for people."""
        left_out = self.points - self.cells
        lines = [
            f"run {self.run}: {self.cells:,} cell{'s' * (self.cells != 1)}"
            + (f" ({left_out:,} left out)" if left_out else "")
        ]
        if self.done or self.live:
            lines.append(f"  {self.done:,} succeeded before, {self.live:,} under way, {self.to_run:,} to run")
        lines.append(f"  estimate: {self._estimate()}")
        lines += [f"  {cell.index}: {_command_text(cell)}" for cell in self.first]
        if self.cells > len(self.first):
            lines.append(f"  ... and {self.cells - len(self.first):,} more")
        lines += [f"warning: {warning}" for warning in self.warnings]
        if self.impossible is not None:
            lines.append(f"never fits here: {self.impossible.removeprefix(NEVER)}")
        return "\n".join(lines)

    def _estimate(self) -> str:
        if self.gpu_hours is None or self.cpu_hours is None:
            return f"unknown ({self.basis})"
        return f"{self.gpu_hours:g} GPU-hours, {self.cpu_hours:g} CPU-hours ({self.basis})"


def plan_of(
    sweep: Sweep,
    *,
    box: Box | None = None,
    learned: Mapping[str, int] | None = None,
    states: States | None = None,
    first: int = FIRST_CELLS,
) -> Plan:
    """Plan `sweep`. `learned` has mean run times in ms by task class and program. Raises `SpecError`."""
    cells = sweep.distinct_cells()
    known = states([cell.key for cell in cells]) if states is not None else {}
    done = sum(state in DONE for state in known.values())
    live = sum(state in LIVE for state in known.values())
    each, basis = _each(sweep.wire, learned or {})
    gpus, cpus = _charged(sweep.wire)
    hours = None if each is None else each * (len(cells) - done - live) / HOUR_MS
    return Plan(
        run=sweep.spec.run,
        points=sweep.points,
        cells=len(cells),
        done=done,
        live=live,
        first=tuple(cells[:first]),
        each_ms=each,
        basis=basis,
        gpu_hours=None if hours is None else round(hours * gpus, 3),
        cpu_hours=None if hours is None else round(hours * cpus, 3),
        impossible=None if box is None else never_fits(sweep.wire, box),
        warnings=tuple(_warnings(sweep)),
    )


def never_fits(wire: WireSpec, box: Box) -> str | None:
    """Why a task of this spec can never run on this box; None if it can. The kernel itself is asked."""
    spec: TaskSpec = task_spec_of(wire)
    events: list[Event] = [*box.pools, DevicesSeen(box.devices)]
    machine = Machine()
    turn = machine.handle([*events, Submitted(name="plan", tasks=(NewTask(spec),))], 0)
    answer = turn.answers[-1]
    return answer.message if isinstance(answer, Refusal) else None


def box_of_views(gpus: Iterable[Mapping[str, Any]], pools: Iterable[Mapping[str, Any]]) -> Box:
    """The box from what `gpus --json` and `pools --json` list."""
    return Box(
        devices=tuple(
            DeviceSeen(
                uuid=str(gpu["uuid"]),
                index=int(gpu["index"]),
                name=str(gpu["name"]),
                vram_mib=int(gpu["vram_mib"]),
                usable_mib=int(gpu["vram_mib"]),
            )
            for gpu in gpus
        ),
        pools=tuple(
            PoolDeclared(PoolName(str(pool["name"])), PoolKind(pool["kind"]), int(pool["capacity"])) for pool in pools
        ),
    )


def _each(wire: WireSpec, learned: Mapping[str, int]) -> tuple[int | None, str]:
    for name in (wire.task_class, wire.program):
        if name in learned:
            return learned[name], f"what {shown(class_words(name))} took so far"
    if wire.time_limit is not None:
        return wire.time_limit, "at most, by the time limit"
    return None, "nothing is learned yet and there is no time limit"


def _charged(wire: WireSpec) -> tuple[float, float]:
    """GPUs and CPUs of the first form of the request."""
    first = wire.request[0]
    return first.gpus + first.share / SHARE_WHOLE, first.amounts.get(CPU, 0) / CPU_UNIT


def _warnings(sweep: Sweep) -> Iterable[str]:
    """What is allowed and is yet most likely a slip."""
    spec, names = sweep.spec, sweep.names
    words = [*spec.command, *spec.env.values()]
    template = Template(words, (PYTHON, INDEX, *names))
    for name in names:
        if name not in template.used and name not in (SEED, REPLICA):
            yield f"the axis {shown(name)} is nowhere in the command, so its cells do the same"
    for name in template.unknown:
        near = did_you_mean(name, names) if names else ""
        if near.startswith("did you mean"):
            yield f"{shown('{' + name + '}')} is no axis and stays as it is; {near}"


def _cell_view(cell: Cell) -> dict[str, Any]:
    return {
        "index": cell.index,
        "name": cell.name,
        "key": cell.key,
        "params": cell.params,
        "command": list(cell.command),
    }


def _command_text(cell: Cell) -> str:
    return UNSAFE.sub("?", shlex.join(cell.command))
