"""One start of a bench spec, without any engine: what is there, what is missing, what to ask for, what came of it.

It holds no connection and waits for nothing; the command line submits what it makes and tells it how the tasks ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from passloop.apps.errors import Problem, SpecError
from passloop.clock import Clock, iso_utc

from .attempt_log import ERROR, latest_error
from .breaker import Breaker
from .cell_folder import CellFolder, state_of
from .durable import write_json
from .errors import ErrorClass
from .invocation import Invocation
from .learned import Learned
from .matrix import Cell, Matrix
from .planned import Planned, planned_of, write_planned
from .policy import POLICIES
from .results import SKIPPED, CellResult, error_of_task, results_of_tree
from .seen import keep_seen
from .standing import Standing, walk
from .tasks import BenchTask, Box, TaskMaker

__all__ = ["Looked", "Session"]

PRIVATE = ".passloop"
OUT_OF_MEMORY = frozenset({ErrorClass.LOAD_OOM, ErrorClass.RUN_OOM, ErrorClass.HOST_OOM})


class Looked(NamedTuple):
    """What one look at the results found: every cell, and those among them that are complete."""

    cells: tuple[Cell, ...]
    done: int
    standings: tuple[Standing, ...]

    @property
    def missing(self) -> list[Cell]:
        """The cells that are to be run."""
        return [each.cell for each in self.standings if each.status != "done"]


class Session:
    """One start of the spec of `matrix`."""

    def __init__(self, matrix: Matrix, *, clock: Clock, fail_fast: bool = False) -> None:
        self.matrix = matrix
        self.root = Path(matrix.out)
        self.learned = Learned()
        self._clock = clock
        breaker = matrix.spec.breaker
        name = f"{iso_utc(clock.wall())}".replace(":", "").replace(".", "-")
        self.invocation = Invocation(
            log=str(self.root / PRIVATE / f"breaker-{name}.jsonl"),
            model_cells=breaker.model_cells,
            spread=min(2, len(matrix.spec.sparse_attention)),
            device_models=breaker.device_models,
            fail_fast=fail_fast,
        )

    def planned(self, looked: Looked) -> Planned:
        """The plan as it is written down."""
        return planned_of(self.matrix, looked.cells)

    def look(self) -> Looked:
        """Look at every cell once, and learn from those that are complete."""
        standings = tuple(walk(self.matrix, self.learned))
        done = sum(each.status == "done" for each in standings)
        return Looked(tuple(each.cell for each in standings), done, standings)

    def tasks(self, looked: Looked, box: Box) -> list[BenchTask]:
        """What to ask for each missing cell, and the plan is written down. Raises `SpecError` if it cannot be."""
        self.keep_plan(looked)
        return self.maker(looked, box).tasks(looked.missing)

    def keep_plan(self, looked: Looked) -> None:
        """Write the plan down, by which reports, `verify` and `rescore` go. Raises `SpecError` if it cannot be."""
        try:
            write_planned(self.root, self.planned(looked))
        except OSError as refused:
            what = f"nothing can be written into {self.root}: {refused.strerror}"
            raise SpecError([Problem(what, "name another folder: out: results/other", "out")]) from None

    def maker(self, looked: Looked, box: Box) -> TaskMaker:
        """What makes the tasks: it knows times and peaks of complete cells, and which ran out of memory."""
        short = [each.cell.hash for each in looked.standings if each.error and each.error.get("class") in OUT_OF_MEMORY]
        return TaskMaker(
            self.matrix,
            box=box,
            learned=self.learned,
            invocation=self.invocation,
            out_of_memory=frozenset(short),
        )

    def blame(self, task: Mapping[str, Any]) -> None:
        """A cell failed for good (its task in JSON shape). One that was killed from outside, by a time limit or a
        signal, could not note that for the breaker, nor could one that did not know its last try: then it is noted
        here, so that a model that kills its workers is taken out, too.
        """
        params = task.get("params") or {}
        error_class = error_of_task(task)[0]
        if error_class == SKIPPED or "cell" not in params:
            return
        breaker = Breaker(
            self.invocation,
            cell=str(params["cell"]),
            model=str(params["model"]),
            sparse_attention=str(params["sparse_attention"]),
            task=int(task["id"]),
            devices=(),
        )
        if breaker.noted:
            return
        breaker.failed(error_class, of_model=POLICIES[ErrorClass(error_class)].of_model, of_device=False)

    def settle(self, looked: Looked, tasks: Iterable[Mapping[str, Any]]) -> list[CellResult]:
        """What came of every cell, once the tasks (JSON shape) have ended: what killed a cell from outside, and what
        was seen of it there, is written down beside it, so that the tree alone can tell.
        """
        planned = self.planned(looked)
        paths = {cell.cell: cell.path for cell in planned.cells}
        for task in tasks:
            cell = str((task.get("params") or {}).get("cell"))
            if cell not in paths:
                continue
            if task["state"] != "succeeded":
                note_end(self.root / paths[cell], cell, task)
            keep_seen(self.root / paths[cell], task)
        return results_of_tree(planned, self.root)


def note_end(folder: Path, cell: str, task: Mapping[str, Any]) -> None:
    """Write down how a task ended that could not say so itself; what a cell said itself stays."""
    known = latest_error(folder)
    if known is not None and known.get("task") == task["id"]:
        return
    with CellFolder.locked(folder, cell) as held:
        if state_of(folder, cell).complete:
            return
        attempts = held.attempts()
        path = held.begin()[1] if not attempts or latest_error(folder) is not None else attempts[-1]
        error_class, message = error_of_task(task)
        word = {"class": error_class, "phase": None, "message": message, "final": True, "at": task.get("ended_at")}
        write_json(path / ERROR, {**word, "task": task["id"], "by": "engine"})
