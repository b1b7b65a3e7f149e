"""`plan` of a bench spec: the matrix, the machine, and the kernel's word on what can never fit there."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

from passloop.apps.bench.matrix import Matrix, matrix_of_file
from passloop.apps.bench.memory import Device
from passloop.apps.bench.plan import BenchPlan, plan_of
from passloop.apps.bench.presence import check_presence
from passloop.apps.bench.session import Session
from passloop.apps.bench.tasks import BenchTask
from passloop.apps.bench.tasks import Box as Machine
from passloop.apps.errors import SpecError
from passloop.apps.queue.plan import Box, never_fits
from passloop.apps.queue.wire import WireSpec
from passloop.apps.spec_file import SpecFile
from passloop.cli.benching import variant_of
from passloop.clock import SystemClock

__all__ = ["bench_plan"]

_MOST_TOLD = 5


def bench_plan(file: SpecFile, box: Callable[[], Box], *, first: int | None) -> BenchPlan:
    """Plan the matrix of `file` on the machine that `box` finds; the `first` cells are listed (None: all). Raises
    `SpecError` with the mistakes of the spec and of the machine's settings together.
    """
    matrix, found = _both(lambda: _matrix_with_code(file), box)
    session = Session(matrix, clock=SystemClock())
    looked = session.look()
    machine = _machine(found)
    cpus = next((pool.capacity for pool in found.pools if pool.name == "cpu"), 1_000)
    plan = plan_of(session, looked, machine, cpus_milli=cpus, first=len(looked.cells) if first is None else first)
    tasks = session.maker(looked, machine).tasks(looked.missing)
    return replace(plan, impossible=tuple(_impossible(tasks, found)))


def _matrix_with_code(file: SpecFile) -> Matrix:
    matrix = matrix_of_file(file, cwd=os.getcwd())
    check_presence(file, matrix, environ=os.environ)
    return matrix


def _both(matrix: Callable[[], Matrix], box: Callable[[], Box]) -> tuple[Matrix, Box]:
    """The matrix and the machine; if neither can be had, the mistakes of both."""
    try:
        planned = matrix()
    except SpecError as wrong:
        try:
            box()
        except SpecError as also:
            raise SpecError([*wrong.problems, *also.problems], next_command=wrong.next_command) from None
        raise
    return planned, box()


def _machine(box: Box) -> Machine:
    memory = [pool.capacity for pool in box.pools if pool.name == "memory"]
    return Machine(
        devices=tuple(Device(each.vram_mib, each.virtual) for each in box.devices),
        mem_mib=memory[0] if memory else None,
    )


def _impossible(tasks: list[BenchTask], box: Box) -> list[str]:
    """Why cells can never fit, one sentence for all that ask the same."""
    counts: dict[tuple[object, ...], tuple[BenchTask, int]] = {}
    for task in tasks:
        _, count = counts.get(task.forms, (task, 0))
        counts[task.forms] = (task, count + 1)
    told = []
    for task, count in counts.values():
        why = never_fits(WireSpec(request=tuple(variant_of(form) for form in task.forms)), box)
        if why is not None:
            more = f" and {count - 1:,} more" if count > 1 else ""
            told.append(f"{task.name}{more}: {why}")
    return told[:_MOST_TOLD]
