"""A command with its options as the page hands it in: the same words as `passloop submit`, and the same complaints.

One option more than there: `max_parallel`, a limit of the submission's own, kept by the kernel like any other pool.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from passloop.apps.errors import BadValue, Problem, SpecError, did_you_mean
from passloop.apps.queue.convert import task_spec_of, to_submitted
from passloop.apps.queue.options import Place, SubmitOptions, document_of
from passloop.apps.queue.plan import box_of_views, never_fits
from passloop.apps.queue.views import Json, document, gpu_view, pool_view, request_view
from passloop.apps.queue.wire import WireSubmission, submission_from
from passloop.apps.units import whole_number
from passloop.engine.engine import Engine
from passloop.kernel.events import PoolDeclared, PoolKind
from passloop.kernel.ids import PoolName

from .fitting import fits

__all__ = ["CommandAsk", "Wanted", "hand_in_command", "look_at_command", "wanted_of"]

FLAGS = frozenset({"balance", "wait_for_capacity", "held"})
MANY = frozenset({"need", "or_variants", "after", "after_any", "env"})
NUMBERS = frozenset({"priority"})
PARALLEL = "max_parallel"
NOT_HERE = frozenset({"snapshot", "each_line"})
"""These read files of whoever submits; in a terminal that is plain to see."""
NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_.-]+")


@dataclass(frozen=True, slots=True)
class CommandAsk:
    """The words of a command and its options by name, as text; flags as booleans."""

    words: Sequence[str]
    options: dict[str, Any]
    cwd: str | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """A submission, and how many of its tasks may run at once (None: as many as fit)."""

    wire: WireSubmission
    max_parallel: int | None


def wanted_of(engine: Engine, ask: CommandAsk) -> Wanted:
    """The submission that is asked for. Raises `SpecError` with every mistake."""
    said = _read(ask.options)
    parallel = said.pop(PARALLEL, None)
    options = SubmitOptions(**said)
    place = Place(cwd=ask.cwd or os.path.expanduser("~"), environment=engine.settings.environ)
    return Wanted(submission_from(document_of(options, ask.words, place)), parallel)


async def hand_in_command(engine: Engine, wanted: Wanted) -> Json:
    """Store it: the run and the ids of its tasks."""
    submitted, environments = to_submitted(await _limited(engine, wanted))
    answer = await engine.submit(submitted, environments=environments)
    found = await engine.read(lambda reader: reader.run(str(answer.run)))
    name = found.row.name if found is not None else ""
    return document(run={"id": answer.run, "name": name}, tasks=list(answer.tasks), existing=list(answer.existing))


async def look_at_command(engine: Engine, wanted: Wanted) -> Json:
    """What it would be: how many tasks, the first commands, what each asks, how many fit at once, whether any can."""
    wire = wanted.wire
    devices, pools = await engine.look(lambda machine, now: (machine.devices(), machine.pools(now)))
    box = box_of_views([gpu_view(device) for device in devices], [pool_view(pool) for pool in pools])
    spec = task_spec_of(wire.spec)
    return document(
        tasks=len(wire.tasks),
        first=[list(task.command) for task in wire.tasks[:10]],
        request=request_view(spec.request.variants),
        fits=fits(spec, devices, pools),
        never_fits=never_fits(wire.spec, box),
    )


async def _limited(engine: Engine, wanted: Wanted) -> WireSubmission:
    """The submission with a place of its own limit in what each task asks. The limit is named after the run, so that a
    later run of the same name resizes it.
    """
    wire = wanted.wire
    if wanted.max_parallel is None:
        return wire
    plain = NOT_IN_A_NAME.sub("-", wire.name or wire.spec.program)[:80].strip("-")
    pool = PoolName(f"parallel/{plain or 'command'}")
    await engine.send(PoolDeclared(pool, PoolKind.LIMIT, wanted.max_parallel))
    variants = tuple(
        msgspec.structs.replace(variant, amounts={**variant.amounts, pool: 1}) for variant in wire.spec.request
    )
    return msgspec.structs.replace(wire, spec=msgspec.structs.replace(wire.spec, request=variants))


def _read(said: dict[str, Any]) -> dict[str, Any]:
    """Options by name, each of the sort that it is. Raises `SpecError`."""
    known = (set(SubmitOptions._fields) | {PARALLEL}) - NOT_HERE
    problems = [
        Problem(f"there is no option {name[:80]!r}", did_you_mean(name, known)) for name in said if name not in known
    ]
    problems += [
        Problem(f"the option {name} is {type(value).__name__}", f"give {_sort(name)}", name)
        for name, value in said.items()
        if name in known and value is not None and not _is_right(name, value)
    ]
    if problems:
        raise SpecError(problems)
    given = {name: tuple(value) if name in MANY else value for name, value in said.items() if value not in (None, "")}
    return {name: _parallel(str(value)) if name == PARALLEL else value for name, value in given.items()}


def _parallel(text: str) -> int:
    try:
        number = whole_number(text)
    except BadValue as bad:
        raise SpecError([Problem(bad.what, bad.fix, PARALLEL)]) from None
    if not 1 <= number <= 1_000_000:
        raise SpecError([Problem(f"{number} at once is not possible", "give a number from 1 on", PARALLEL)])
    return number


def _is_right(name: str, value: Any) -> bool:
    if name in FLAGS:
        return isinstance(value, bool)
    if name in NUMBERS:
        return isinstance(value, int) and not isinstance(value, bool)
    if name in MANY:
        return isinstance(value, list) and all(isinstance(each, str) for each in value)
    return isinstance(value, str)


def _sort(name: str) -> str:
    if name in FLAGS:
        return "true or false"
    if name in NUMBERS:
        return "a whole number"
    return "a list of texts" if name in MANY else "text"
