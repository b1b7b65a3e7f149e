"""`bench` between the app and the engine: what the machine has, the submission of cells, following them, the answers.

What a cell is and whether it is complete is decided in `apps.bench`; nothing runs unless the engine says so.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from passloop.apps.bench.cell import ORDER
from passloop.apps.bench.memory import Device
from passloop.apps.bench.own_code import of_other_code
from passloop.apps.bench.own_secrets import left_out_name, secrets_in
from passloop.apps.bench.planned import Planned
from passloop.apps.bench.rescore import of_other_scorer, rescore_lines
from passloop.apps.bench.results import CellResult, counts_of
from passloop.apps.bench.session import Looked, Session
from passloop.apps.bench.summary import exit_code_of, failures_of, summary_of, write_summary
from passloop.apps.bench.table import table_of
from passloop.apps.bench.table_text import failure_lines, table_lines
from passloop.apps.bench.tasks import BenchTask, Box, Form
from passloop.apps.queue.environment import storable
from passloop.apps.queue.units import WireUnits, encode_units
from passloop.apps.queue.wire import (
    WireCall,
    WireRetries,
    WireSpec,
    WireSubmission,
    WireTask,
    WireVariant,
    encode_submission,
)
from passloop.cli import streams
from passloop.cli.bench_following import Following
from passloop.cli.client import Client
from passloop.cli.wording import ENDING, FINAL, counted

__all__ = ["Bench", "Told", "box_of", "box_of_views", "document_of", "table_of_told", "variant_of"]

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "RAYON_NUM_THREADS")
_CELL = "passloop.apps.bench.cell"
_AT_ONCE = 500
"""More cells than this are written out as there is room for them."""
_UNIT = 64

Note = Callable[[list[int]], None]


class Told(NamedTuple):
    """How a start of a spec ended: its run, the results of all cells, and the exit code."""

    run: Mapping[str, Any] | None
    results: Sequence[CellResult]
    exit_code: int


class Bench:
    """One start of a spec: what is missing is submitted, followed and told."""

    def __init__(self, session: Session, looked: Looked, *, spec: str) -> None:
        self._session = session
        self._looked = looked
        self._spec = spec
        self._run: Mapping[str, Any] | None = None
        self._specs: dict[object, WireSpec] = {}

    @property
    def planned(self) -> Planned:
        """The matrix as it was planned."""
        return self._session.planned(self._looked)

    @property
    def out(self) -> str:
        """The folder of the results."""
        return self._session.matrix.out

    @property
    def missing(self) -> int:
        """How many cells are to be run."""
        return len(self._looked.cells) - self._looked.done

    def work(self, client: Client, note: Note, *, note_run: Callable[[int], None] = lambda _run: None) -> Told:
        """Submit what is missing, follow it to its end, and write the answers. `note` is told the tasks, `note_run` the
        run of cells that are not all written out yet.
        """
        tasks = self._session.tasks(self._looked, box_of(client))
        self._say_begin(len(tasks))
        if not tasks:
            return self.told([])
        following = Following(client, self._session, tasks)
        with client.events() as events:
            ids = self._submit(client, tasks, note)
            run = self._run["id"] if self._run is not None and len(tasks) > _AT_ONCE else None
            if run is not None:
                note_run(int(run))
            return self.told(following.to_the_end(events, ids, run=run, note=note))

    def follow(self, client: Client, run: int) -> Told:
        """Follow a run that an earlier start of this spec submitted, and write the answers. Nothing is submitted."""
        found = client.get(f"/runs/{run}")["run"]
        self._run = {"id": found["id"], "name": found["name"]}
        tasks = self._session.tasks(self._looked, box_of(client))
        following = Following(client, self._session, tasks)
        with client.events() as events:
            ids = [int(task["id"]) for task in client.get("/tasks", [("select", f"@{run}")], timeout=None)["tasks"]]
            in_units = run if found.get("source") else None
            return self.told(following.to_the_end(events, ids, run=in_units, note=lambda _tasks: None))

    def told_at_once(self) -> Told:
        """The answers where every cell is complete: that is said, and nothing is asked of any engine."""
        self._session.keep_plan(self._looked)
        self._say_begin(0)
        return self.told([])

    def told(self, ended: Sequence[Mapping[str, Any]]) -> Told:
        """The answers, once the tasks have ended."""
        results = self._session.settle(self._looked, ended)
        summary = summary_of(self._session.planned(self._looked), results)
        write_summary(self._session.root, summary)
        return Told(self._run, results, exit_code_of(summary["counts"]))

    def _say_begin(self, missing: int) -> None:
        total, done = len(self._looked.cells), self._looked.done
        before = f"; {done:,} complete before" if done else ""
        streams.say(f"{counted(total, 'cell')}{before}; {missing:,} to run -> {self._session.root}")
        matrix = self._session.matrix
        options = {"command": matrix.spec.command, "python": matrix.spec.python}
        other = of_other_code(self._looked.standings, options, Path(matrix.cwd))
        if other:
            streams.say(
                f"{counted(other, 'cell')} complete by code that was changed since, and kept; another value in `env:`, "
                'such as `env: {VERSION: "2"}`, makes all cells anew'
            )
        self._say_secrets()

    def _say_secrets(self) -> None:
        for name, why in secrets_in(self._session.matrix.resolver.kept_env).items():
            said = (
                f"{name} {why}, and its value stands in each cell.json there: publish none. It was taken for the cells "
                f"that were begun with it; called {left_out_name(name)} it stands in none, and all are made anew"
            )
            streams.say(streams.clean(said))

    def _submit(self, client: Client, tasks: Sequence[BenchTask], note: Note) -> list[int]:
        """Ask for all cells; the tasks to follow, as far as they are there already."""
        keys, live = _keys_of(client, tasks)
        in_units = len(tasks) > _AT_ONCE
        if in_units:
            answer = client.post_bytes("/sources", encode_units(self._units(tasks, keys)))
        else:
            answer = client.post_bytes("/submit", encode_submission(self._submission(tasks, keys)))
        self._run = answer["run"]
        if answer.get("ending"):
            streams.say(ENDING)
        if in_units:
            return live
        note(answer["tasks"])
        return list(answer["tasks"])

    def _units(self, tasks: Sequence[BenchTask], keys: Mapping[str, str]) -> WireUnits:
        """The same in units, first what is to run first."""
        ordered = sorted(tasks, key=lambda task: (task.rank, task.cell.index))
        whole = self._submission(ordered, keys)
        parts = [list(whole.tasks[at : at + _UNIT]) for at in range(0, len(ordered), _UNIT)]
        return WireUnits(msgspec.structs.replace(whole, tasks=()), parts)

    def _submission(self, tasks: Sequence[BenchTask], keys: Mapping[str, str]) -> WireSubmission:
        matrix = self._session.matrix
        spec = matrix.spec
        about = {"kind": "bench", "spec": self._spec, "out": matrix.out, "axes": _AXES}
        return WireSubmission(
            tasks=tuple(self._task(task, keys[task.cell.hash], place) for place, task in enumerate(tasks)),
            name=spec.bench,
            group=spec.group,
            priority=spec.priority,
            cwd=matrix.cwd,
            environment=storable(os.environ).stored,
            refuse_impossible=False,
            about=about,
        )

    def _task(self, task: BenchTask, key: str, place: int) -> WireTask:
        spec = self._session.matrix.spec
        wire_spec = self._wire_spec(task)
        if task.warm_key is not None:
            call = WireCall(target=f"{_CELL}:run", args=(task.order,), python=sys.executable)
            return _placed(task, key, place, wire_spec, env=spec.env, call=call)
        threads = str(max(1, task.cpus_milli // 1000))
        env = {**dict.fromkeys(_THREADS, threads), **spec.env, ORDER: task.order}
        return _placed(task, key, place, wire_spec, env=env)

    def _wire_spec(self, task: BenchTask) -> WireSpec:
        """What cells of one kind share, made once for all of them."""
        key = (task.forms, task.time_limit, task.warm_key, task.task_class)
        if key not in self._specs:
            spec = self._session.matrix.spec
            self._specs[key] = WireSpec(
                request=tuple(variant_of(form) for form in task.forms),
                time_limit=task.time_limit,
                grace=spec.grace,
                retries=WireRetries(**task.budgets._asdict()),
                patience=spec.patience,
                task_class=task.task_class,
                program="bench",
                warm_key=task.warm_key,
                alike=True,
            )
        return self._specs[key]


_AXES = ["model", "sparse_attention", "benchmark", "subset", "seed"]


def _placed(
    task: BenchTask, key: str, place: int, spec: WireSpec, *, env: dict[str, str], call: WireCall | None = None
) -> WireTask:
    return WireTask(
        command=(sys.executable, "-P", "-m", _CELL),
        name=task.name,
        key=key,
        index=place,
        params=dict(task.params),
        env=env,
        rank=task.rank,
        spec=spec,
        call=call,
    )


def box_of(client: Client) -> Box:
    """What the engine's machine has."""
    return box_of_views(client.get("/gpus", timeout=60)["gpus"], client.get("/pools", timeout=60)["pools"])


def box_of_views(gpus: Sequence[Mapping[str, Any]], pools: Sequence[Mapping[str, Any]]) -> Box:
    """The same, from what `gpus --json` and `pools --json` list."""
    memory = [int(pool["capacity"]) for pool in pools if pool["name"] == "memory"]
    return Box(
        devices=tuple(Device(int(gpu["vram_mib"]), bool(gpu.get("virtual"))) for gpu in gpus),
        mem_mib=memory[0] if memory else None,
    )


def document_of(told: Told, out: str) -> dict[str, Any]:
    """What `bench --json` prints."""
    return {
        "schema_version": 1,
        "run": told.run,
        "counts": counts_of(told.results),
        "out": out,
        "failures": failures_of(told.results),
        "of_other_scorer": of_other_scorer(told.results),
    }


def table_of_told(bench: Bench, told: Told) -> list[str]:
    """The table, and what is missing of it."""
    lines = table_lines(table_of(bench.planned, told.results), width=streams.width())
    counts = counts_of(told.results)
    said = ", ".join(f"{number:,} {status}" for status, number in counts.items() if number and status != "total")
    apart = [streams.clean(line) for line in rescore_lines(told.results, bench.out)]
    return [*lines, "", *failure_lines(told.results), *apart, f"{counted(counts['total'], 'cell')}: {said}"]


def variant_of(form: Form) -> WireVariant:
    """A form of a request, as it travels."""
    return WireVariant(gpus=form.gpus, share=form.share, vram_mib=form.vram_mib, amounts=dict(form.amounts))


def _keys_of(client: Client, tasks: Sequence[BenchTask]) -> tuple[dict[str, str], list[int]]:
    """The key of each cell, and the live tasks among them. A cell that succeeded before and whose results are gone
    gets a new key, because the old one means the old task.
    """
    keys = {task.cell.hash: task.key for task in tasks}
    known = client.get("/tasks", [("select", f"key:{tasks[0].key.rpartition(':')[0]}:*")], timeout=None)["tasks"]
    newest = {str(task["params"]["cell"]): task for task in sorted(known, key=lambda task: int(task["id"]))}
    live = []
    for cell in keys.keys() & newest.keys():
        task = newest[cell]
        keys[cell] = f"{keys[cell]}:{task['id']}" if task["state"] == "succeeded" else task["key"]
        live += [int(task["id"])] if task["state"] not in FINAL else []
    return keys, live
