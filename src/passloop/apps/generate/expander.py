"""Writes out row groups: their cells as tasks, with what each row was given stored in them before first use.

A function of the dataset, the number of the group, the columns that are wanted of it and what is committed: what is
asked for twice is the same twice. Groups whose cells all have answers are empty.
"""

from __future__ import annotations

import asyncio
import json
from functools import lru_cache
from typing import TYPE_CHECKING

from passloop.engine.expanding import ExpandAsk, Expansion
from passloop.kernel.events import SourceDeclared
from passloop.kernel.ids import RunId
from passloop.kernel.source_rows import ResidentGuard, SourcePlan

from .cells import cells_of, environment_id, new_tasks, template_of
from .dataset import Dataset, dataset_of_text
from .former_keys import as_stored
from .own_code import codes_told
from .target import Kept

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["KIND", "GenerateExpander", "declared_of"]

KIND = "generate"
RESIDENT_MB = 256
TASK_BYTES = 2_048
"""What a task keeps in the engine's memory until it is final, about."""


class GenerateExpander:
    """Writes out the row groups of datasets."""

    def __init__(self) -> None:
        self._kept: dict[RunId, Kept] = {}

    async def expand(self, ask: ExpandAsk) -> Expansion:
        """The tasks of one row group, or of some columns of it, made off the loop.

        Once the target is reached before a group, nobody needs what that one still lacks.
        """
        dataset = _dataset(ask.spec)
        if ask.unit >= dataset.units:
            return Expansion(exhausted=True)
        if dataset.spec.target is not None:
            kept = self._kept.setdefault(ask.run, Kept(dataset))
            word = await ask.read(lambda reader: kept.word(reader, before=ask.unit))
            if word == "enough" or (word == "wait" and not ask.begun):
                return Expansion(exhausted=word == "enough", rest=word == "wait")
        cells = await asyncio.to_thread(cells_of, dataset, ask.unit)
        unit = await ask.read(lambda reader: as_stored(reader, dataset, cells))
        known = await ask.read(lambda reader: reader.keyed([cell.key for cell in unit.cells]))
        text = _environment(ask.spec)
        environment = environment_id(text)
        wanted = frozenset(column.name for node, column in enumerate(dataset.tasks) if ask.wants(node))
        tasks = await asyncio.to_thread(
            new_tasks, dataset, unit, known, wanted=wanted, run=ask.run, environment=environment
        )
        return Expansion(
            tasks=tasks,
            bytes=len(tasks) * TASK_BYTES,
            exhausted=ask.unit == dataset.units - 1,
            environments=((environment, text),) if tasks else (),
        )


def declared_of(dataset: Dataset, *, environment: Mapping[str, str], files: bool = False) -> SourceDeclared:
    """The run of a dataset, as the kernel's event. `environment` is what python cells run in; with `files` it is to get
    a last task that writes them.
    """
    spec = dataset.spec
    about = {"kind": KIND, "out": str(dataset.out), "root": dataset.root, "hash": dataset.hash, "rows": spec.rows}
    about |= {"codes": codes_told(dataset)} if dataset.codes else {}
    return SourceDeclared(
        name=spec.generate,
        kind=KIND,
        plan=SourcePlan(
            template=template_of(dataset),
            guard=ResidentGuard(bytes=(spec.limits.resident_mb or RESIDENT_MB) * 2**20),
            units=None if spec.target is not None else dataset.units,
        ),
        group=spec.group,
        priority=spec.priority,
        refuse_impossible=False,
        about=json.dumps(about),
        spec=json.dumps({**json.loads(dataset.wire()), "environment": dict(environment), "files": files}),
    )


@lru_cache(maxsize=4)
def _dataset(spec: str) -> Dataset:
    return dataset_of_text(spec)


@lru_cache(maxsize=4)
def _environment(spec: str) -> str:
    return json.dumps(json.loads(spec).get("environment", {}), sort_keys=True, separators=(",", ":"))
