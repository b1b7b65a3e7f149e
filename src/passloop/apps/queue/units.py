"""Submissions that come in units: too many tasks to hold at once, written out as pools want them.

What is declared is a source whose specification holds the units as they were sent; its expander reads one of them at a
time and makes tasks of it as of any submission. It never looks at a file or the environment.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import lru_cache
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from passloop.apps.errors import Problem, SpecError
from passloop.engine.expanding import ExpandAsk, Expansion
from passloop.kernel.events import SourceDeclared
from passloop.kernel.source_rows import ResidentGuard, SourcePlan, TemplateNode

from .convert import to_submitted
from .wire import WireSubmission, WireTask

__all__ = ["KIND", "UnitsExpander", "WireUnits", "declared_of", "decode_units", "encode_units", "units_schema"]

KIND = "units"
MOST_UNFINISHED = 64
"""Units whose tasks are not all final yet."""
MOST_UNITS = 100_000


class WireUnits(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A run in units. `shared` is a submission without tasks: what all tasks share."""

    shared: WireSubmission
    units: Annotated[list[list[WireTask]], Meta(min_length=1, max_length=MOST_UNITS)]


class _Raw(Struct, frozen=True):
    """The same, the units not read yet."""

    shared: WireSubmission
    units: list[msgspec.Raw]


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(WireUnits)
_RAW = msgspec.json.Decoder(_Raw)
_TASKS = msgspec.json.Decoder(tuple[WireTask, ...])


def encode_units(units: WireUnits) -> bytes:
    """The request body of POST /sources."""
    return _ENCODER.encode(units)


def decode_units(body: bytes) -> WireUnits:
    """Read a request body. Raises `SpecError` that names the place in the body."""
    try:
        return _DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        what = f"the units are not readable: {error}"
        raise SpecError([Problem(what, "send what POST /sources describes", "request body")]) from None


def declared_of(wire: WireUnits) -> SourceDeclared:
    """The kernel's event. Every unit is converted once here, so that a mistake is told now and not in the middle.

    Raises `SpecError`.
    """
    units = [_submission(wire.shared, tuple(tasks)) for tasks in wire.units]
    firsts = {task.spec: None for unit in units for task in to_submitted(unit).submitted.tasks}
    nodes = tuple(TemplateNode(spec.request, driver=spec.driver, completes=True) for spec in [*firsts][:1])
    return SourceDeclared(
        name=wire.shared.name or "",
        kind=KIND,
        plan=SourcePlan(
            template=nodes,
            guard=ResidentGuard(units=MOST_UNFINISHED),
            units=len(wire.units),
            tasks=sum(map(len, wire.units)),
        ),
        group=wire.shared.group,
        priority=wire.shared.priority,
        refuse_impossible=False,
        about=_ENCODER.encode(wire.shared.about).decode(),
        spec=_ENCODER.encode(wire).decode(),
    )


def units_schema() -> dict[str, Any]:
    """JSON Schema of the request body."""
    return msgspec.json.schema(WireUnits)


class UnitsExpander:
    """Writes out the units of such a run."""

    async def expand(self, ask: ExpandAsk) -> Expansion:
        """The tasks of one unit, made in a thread."""
        return await asyncio.to_thread(_expanded, ask)


def _expanded(ask: ExpandAsk) -> Expansion:
    raw = _read(ask.spec)
    if ask.unit >= len(raw.units):
        return Expansion(exhausted=True)
    converted = to_submitted(_submission(raw.shared, _TASKS.decode(raw.units[ask.unit])))
    return Expansion(
        tasks=tuple(replace(task, node=0) for task in converted.submitted.tasks),
        exhausted=ask.unit == len(raw.units) - 1,
        environments=converted.environments,
    )


@lru_cache(maxsize=2)
def _read(spec: str) -> _Raw:
    """The parts of a specification; the one that is being written out is asked for again and again."""
    return _RAW.decode(spec)


def _submission(shared: WireSubmission, tasks: tuple[WireTask, ...]) -> WireSubmission:
    return msgspec.structs.replace(shared, tasks=tasks)
