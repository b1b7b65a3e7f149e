"""Submissions that come in units: too many tasks to hold at once, written out as pools want them.

What is declared is a source with the specification of each unit as it was sent; its expander is given one of them at a
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


class _Declared(Struct, frozen=True, omit_defaults=True):
    """What is declared: what all tasks share, and how many units there are. Sources of before schema 5 have the units
    here, too.
    """

    shared: WireSubmission
    count: int = 0
    units: tuple[msgspec.Raw, ...] = ()


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(WireUnits)
_DECLARED = msgspec.json.Decoder(_Declared)
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
        spec=_ENCODER.encode(_Declared(wire.shared, len(wire.units))).decode(),
        unit_specs=tuple(_ENCODER.encode(tasks).decode() for tasks in wire.units),
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
    declared = _read(ask.spec)
    count = declared.count or len(declared.units)
    if ask.unit >= count:
        return Expansion(exhausted=True)
    own = declared.units[ask.unit] if declared.units else ask.unit_spec
    if own is None:
        raise LookupError(f"what unit {ask.unit} was declared with is gone from the store: submit the run again")
    converted = to_submitted(_submission(declared.shared, _TASKS.decode(own)))
    return Expansion(
        tasks=tuple(replace(task, node=0) for task in converted.submitted.tasks),
        exhausted=ask.unit == count - 1,
        environments=converted.environments,
    )


@lru_cache(maxsize=2)
def _read(spec: str) -> _Declared:
    """The parts of a specification; the one that is being written out is asked for again and again."""
    return _DECLARED.decode(spec)


def _submission(shared: WireSubmission, tasks: tuple[WireTask, ...]) -> WireSubmission:
    return msgspec.structs.replace(shared, tasks=tasks)
