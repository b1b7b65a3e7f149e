"""What a matrix would do, without doing it: cells, what is complete, how long it takes, how many fit at once, warnings.

Nothing is submitted; whether something can never fit is asked of whoever knows the machine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from passloop.apps.figures import span_text
from passloop.apps.templates import Template
from passloop.apps.text import visible

from .session import Looked, Session
from .spec_checks import AXES
from .tasks import BenchTask, Box, Form

__all__ = ["BenchPlan", "plan_of"]

FIRST_CELLS = 10
WHOLE_SHARE = 10_000
BUILT_IN = (*AXES, "python", "samples")


@dataclass(frozen=True, slots=True)
class BenchPlan:
    """What would happen. `millis` is the time of all missing cells one after another (0: nothing is known), `at_once`
    how many fit together; memory in MiB by cell.
    """

    bench: str
    out: str
    cells: int
    equal: int
    statuses: Mapping[str, int]
    first: tuple[BenchTask, ...]
    to_run: int
    millis: int
    basis: str
    at_once: int
    vram_mib: tuple[int, int] | None
    warnings: tuple[str, ...]
    impossible: tuple[str, ...] = ()

    @property
    def wall_ms(self) -> int:
        """What the missing cells take with as many at once as fit."""
        return -(-self.millis // max(1, self.at_once))

    def as_json(self) -> dict[str, Any]:
        """The document of `plan --json`."""
        return {
            "schema_version": 1,
            "bench": self.bench,
            "out": self.out,
            "cells": self.cells,
            "equal_cells_left_out": self.equal,
            "statuses": dict(self.statuses),
            "to_run": self.to_run,
            "estimate": {
                "work_ms": self.millis,
                "wall_ms": self.wall_ms,
                "basis": self.basis,
                "at_once": self.at_once,
                "vram_mib": None if self.vram_mib is None else {"least": self.vram_mib[0], "most": self.vram_mib[1]},
            },
            "first": [{"name": each.name, "cell": each.cell.hash, "path": each.cell.path} for each in self.first],
            "never_fits": list(self.impossible),
            "warnings": list(self.warnings),
        }

    def as_text(self) -> str:
        """The same for people."""
        statuses = ", ".join(f"{number:,} {status}" for status, number in self.statuses.items() if number)
        cells = f"{self.cells:,} {'cell' if self.cells == 1 else 'cells'}"
        lines = [f"bench {self.bench}: {cells} ({statuses}) -> {visible(self.out)}"]
        if self.equal:
            lines.append(f"  {self.equal:,} cells equal others and are run once")
        if self.to_run:
            lines += self._time_lines()
        if self.vram_mib is not None:
            least, most = self.vram_mib
            lines.append(f"  memory of a GPU for one cell: {f'{least:,} to ' if least < most else ''}{most:,} MiB")
        lines += [f"  {place}: {each.name}" for place, each in enumerate(self.first)]
        if self.to_run > len(self.first):
            lines.append(f"  ... and {self.to_run - len(self.first):,} more")
        lines += [f"warning: {warning}" for warning in self.warnings]
        lines += [f"never fits here: {sentence}" for sentence in self.impossible]
        return "\n".join(lines)

    def _time_lines(self) -> list[str]:
        """How long it takes, as far as anything is known."""
        if not self.millis:
            return [f"  {self.to_run:,} to run, {self.at_once} at once: {self.basis}"]
        work, wall = span_text(self.millis / 1000), span_text(self.wall_ms / 1000)
        return [
            f"  {self.to_run:,} to run: about {work} of work, {wall} with {self.at_once} at once",
            f"  estimate by {self.basis}",
        ]


def plan_of(session: Session, looked: Looked, box: Box, *, cpus_milli: int, first: int = FIRST_CELLS) -> BenchPlan:
    """Plan what is missing, on a machine like `box` with so many CPUs (1/1,000)."""
    matrix = session.matrix
    maker = session.maker(looked, box)
    missing = looked.missing
    tasks = sorted(maker.tasks(missing), key=lambda each: (each.rank, each.cell.index))
    unknown = not session.learned.known and any(cell.point.adapter.kind.free_names for cell in missing)
    vram = [mib for task in tasks if task.forms[0].gpus + task.forms[0].share and (mib := task.forms[0].vram_mib)]
    return BenchPlan(
        bench=matrix.spec.bench,
        out=matrix.out,
        cells=len(looked.cells),
        equal=matrix.places() - len(looked.cells),
        statuses=Counter(each.status for each in looked.standings),
        first=tuple(tasks[:first]),
        to_run=len(tasks),
        millis=0 if unknown else sum(session.learned.millis(cell) for cell in missing),
        basis=_basis(session, unknown=unknown),
        at_once=_at_once(tasks, box, cpus_milli),
        vram_mib=(min(vram), max(vram)) if vram else None,
        warnings=tuple(_warnings(session, looked, tasks, box)),
    )


def _basis(session: Session, *, unknown: bool) -> str:
    if unknown:
        return "how long a cell takes is known once one is complete"
    return "what such cells took so far" if session.learned.known else "tokens x parameters, a rough guess"


def _at_once(tasks: Sequence[BenchTask], box: Box, cpus_milli: int) -> int:
    """How many of the largest cells fit together."""
    if not tasks:
        return 0
    return max(1, min(_fitting(task.forms[0], box, cpus_milli) for task in tasks))


def _fitting(form: Form, box: Box, cpus_milli: int) -> int:
    amounts = dict(form.amounts)
    limits = [cpus_milli // amounts["cpu"]] if amounts.get("cpu") else []
    if amounts.get("memory") and box.mem_mib:
        limits.append(box.mem_mib // amounts["memory"])
    if form.gpus:
        limits.append(len(box.devices) // form.gpus)
    elif form.share:
        limits.append(sum(WHOLE_SHARE // form.share for _ in box.devices))
    return min(limits, default=1)


def _warnings(session: Session, looked: Looked, tasks: Sequence[BenchTask], box: Box) -> Iterator[str]:
    """What is allowed and is yet most likely a slip, or will hurt."""
    yield from _unused_axes(session)
    for each in looked.standings:
        if each.finding is not None:
            yield f"{each.cell.label}: {each.finding.file} is {each.finding.sort}; it is set aside and run again"
    largest = max((device.vram_mib for device in box.devices), default=None)
    for task in tasks:
        mib = task.forms[0].vram_mib
        if largest is not None and mib is not None and mib > largest:
            yield f"{task.name} is thought to take {mib:,} MiB, and no GPU here has more than {largest:,}"


def _unused_axes(session: Session) -> Iterator[str]:
    spec = session.matrix.spec
    if spec.command is None:
        return
    parameters = [name for entry in spec.sparse_attention.values() for name in entry.parameters]
    template = Template(spec.command, (*BUILT_IN, *parameters))
    axes = {
        "model": len(spec.models),
        "sparse_attention": len(spec.sparse_attention),
        "benchmark": len(spec.benchmarks),
        "seed": len(spec.seeds),
    }
    for name, count in axes.items():
        if (
            count > 1
            and name not in template.used
            and not (name == "sparse_attention" and template.used & {*parameters})
        ):
            yield f"the axis `{name}` is nowhere in the command, so its cells do the same"
    for name in template.unknown:
        yield f"`{{{name}}}` is no axis or parameter and stays as it is"
