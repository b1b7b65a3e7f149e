"""A command with its options as the page hands it in: the same words as `passloop submit`, and the same complaints.

What reads files of whoever submits is not here.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from passloop.apps.errors import Problem, SpecError, did_you_mean
from passloop.apps.queue.convert import task_spec_of, to_submitted
from passloop.apps.queue.options import Place, SubmitOptions, document_of
from passloop.apps.queue.parallel import limited
from passloop.apps.queue.plan import box_of_views, never_fits
from passloop.apps.queue.views import Json, document, gpu_view, pool_view, request_view
from passloop.apps.queue.wire import WireSubmission, submission_from
from passloop.engine.engine import Engine

from .fitting import fits

__all__ = ["CommandAsk", "hand_in_command", "look_at_command", "wanted_of"]

FLAGS = frozenset({"balance", "wait_for_capacity", "held"})
MANY = frozenset({"need", "or_variants", "after", "after_any", "env"})
NUMBERS = frozenset({"priority"})
NOT_HERE = frozenset({"snapshot", "each_line"})
"""These read files of whoever submits; in a terminal that is plain to see."""


@dataclass(frozen=True, slots=True)
class CommandAsk:
    """The words of a command and its options by name, as text; flags as booleans."""

    words: Sequence[str]
    options: dict[str, Any]
    cwd: str | None = None


def wanted_of(engine: Engine, ask: CommandAsk) -> WireSubmission:
    """The submission that is asked for. Raises `SpecError` with every mistake."""
    options = SubmitOptions(**_read(ask.options))
    place = Place(cwd=ask.cwd or os.path.expanduser("~"), environment=engine.settings.environ)
    return submission_from(document_of(options, ask.words, place))


async def hand_in_command(engine: Engine, wanted: WireSubmission) -> Json:
    """Store it: the run and the ids of its tasks."""
    wire, limit = limited(wanted)
    submitted, environments = to_submitted(wire)
    if limit is not None:
        await engine.send(limit)
    answer = await engine.submit(submitted, environments=environments)
    found = await engine.read(lambda reader: reader.run(str(answer.run)))
    name = found.row.name if found is not None else ""
    return document(run={"id": answer.run, "name": name}, tasks=list(answer.tasks), existing=list(answer.existing))


async def look_at_command(engine: Engine, wire: WireSubmission) -> Json:
    """What it would be: how many tasks, the first commands, what each asks, how many fit at once, whether any can."""
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


def _read(said: dict[str, Any]) -> dict[str, Any]:
    """Options by name, each of the sort that it is. Raises `SpecError`."""
    known = set(SubmitOptions._fields) - NOT_HERE
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
    return {name: tuple(value) if name in MANY else value for name, value in said.items() if value not in (None, "")}


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
