"""What the Python API gives back: frozen records made from the engine's JSON. They hold no connection."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from passloop.apps.counting import counted

from .errors import PassloopError
from .html import facts_html, table_html

if TYPE_CHECKING:
    import pandas

__all__ = [
    "Change",
    "Gpu",
    "Gpus",
    "Json",
    "Pool",
    "Pools",
    "RunResult",
    "Scalar",
    "Task",
    "Tasks",
    "gpu_of",
    "pool_of",
    "task_of",
]

Json = dict[str, Any]
Scalar = str | int | float | bool | None
Frame: TypeAlias = "pandas.DataFrame"

FINAL = frozenset({"succeeded", "failed", "cancelled", "aborted", "rejected"})


@dataclass(frozen=True, slots=True)
class Task:
    """A task as committed. Times are UTC; `gpus` are UUIDs, in the order in which CUDA sees them.

    `state` is waiting, held, backoff, ready, admitted, running, stopping, or final: succeeded, failed, cancelled,
    aborted, rejected. `attempt` counts from 1 (0: none yet). `outcome` is how the last attempt ended: success,
    failure, timeout, cancelled, lost, device_fault, out_of_memory. `metrics` is what it left in `metrics.json`.
    """

    id: int
    name: str
    key: str | None
    run: int
    group: str
    state: str
    attempt: int
    exit_code: int | None
    outcome: str | None
    message: str
    priority: int
    submitted_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    gpus: tuple[str, ...]
    metrics: Mapping[str, Any] | None
    command: tuple[str, ...]
    cwd: str | None
    params: Mapping[str, Scalar] | None
    index: int | None
    line: str | None

    @property
    def final(self) -> bool:
        """Whether it has ended for good."""
        return self.state in FINAL

    @property
    def seconds(self) -> float | None:
        """How long its last attempt took, in seconds; None until it has ended."""
        if self.started_at is None or self.ended_at is None:
            return None
        return (self.ended_at - self.started_at).total_seconds()

    def _repr_html_(self) -> str:
        """The task as a table of what is known of it, for notebooks."""
        facts = [
            ("state", self.state),
            ("command", " ".join(self.command)),
            ("parameters", ", ".join(f"{name}={value}" for name, value in (self.params or {}).items())),
            ("outcome", self.outcome),
            ("exit code", self.exit_code),
            ("message", self.message),
            ("attempt", self.attempt),
            ("GPUs", ", ".join(self.gpus)),
            ("started", self.started_at),
            ("seconds", self.seconds),
            ("metrics", ", ".join(f"{name}={value}" for name, value in (self.metrics or {}).items())),
            ("key", self.key),
            ("directory", self.cwd),
        ]
        return facts_html(f"task {self.id}: {self.name}", facts)


@dataclass(frozen=True, slots=True)
class Change:
    """A task came to a state. `seq` numbers the engine's turns; it is 0 for where the task was when watching began."""

    task: int
    state: str
    seq: int


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU of this machine: VRAM in MiB, `free_share` from 0 to 1, `holders` are task ids.

    `state` is available, vetoed (somebody else uses it), quarantined or lost; `index` is its place in CUDA's order.
    """

    index: int
    uuid: str
    name: str
    vram_mib: int
    free_mib: int
    free_share: float
    state: str
    holders: tuple[int, ...]
    virtual: bool


@dataclass(frozen=True, slots=True)
class Pool:
    """A pool of this engine, in its own unit (CPUs in 1/1,000, memory in MiB, places, requests or tokens a minute).

    `state` is open, cooling, half_open or dead; `until` is when a cooldown ends; `holders` are task ids.
    """

    name: str
    kind: str
    capacity: int
    used: int
    free: int
    parent: str | None
    state: str
    until: datetime | None
    limit: int | None
    holders: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class RunResult:
    """A run and its tasks as they were when it was asked."""

    id: int
    name: str
    tasks: tuple[Task, ...]

    @property
    def succeeded(self) -> bool:
        """Whether every task succeeded."""
        return all(task.state == "succeeded" for task in self.tasks)

    @property
    def failed(self) -> tuple[Task, ...]:
        """The tasks that are final and did not succeed."""
        return tuple(task for task in self.tasks if task.final and task.state != "succeeded")

    def to_pandas(self) -> Frame:
        """One row per task, in order: every field of `Task`, `seconds`, and columns `params.*` and `metrics.*`.

        Raises `PassloopError` where pandas is not installed.
        """
        try:
            import pandas
        except ImportError as missing:
            hint = "pip install 'passloop[pandas]'"
            raise PassloopError(
                "to_pandas needs pandas, which is not installed", hint=hint, code="missing"
            ) from missing
        return pandas.DataFrame([_row(task) for task in self.tasks])

    def _repr_html_(self) -> str:
        """The run as a table, for notebooks."""
        title = f"run {self.id}: {self.name}, {_summary(self.tasks)}"
        return table_html(title, COLUMNS, [_cells(task) for task in self.tasks], left="older tasks")


class Tasks(tuple[Task, ...]):
    """Tasks as they were when they were asked for: a tuple that is a table in notebooks."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        title = f"{counted(len(self), 'task')}, {_summary(self)}" if self else "no tasks"
        return table_html(title, COLUMNS, [_cells(task) for task in self], left="older tasks")


class Gpus(tuple[Gpu, ...]):
    """GPUs as they were when they were asked for: a tuple that is a table in notebooks."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        rows = [_gpu_cells(gpu) for gpu in self]
        return table_html(f"{len(self)} GPUs", ("GPU", "name", "VRAM, MiB", "free, MiB", "state", "held by"), rows)


class Pools(tuple[Pool, ...]):
    """Pools as they were when they were asked for: a tuple that is a table in notebooks."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        rows = [(each.name, each.kind, each.used, each.capacity, each.state, each.until) for each in self]
        return table_html(f"{len(self)} pools", ("pool", "kind", "used", "of", "state", "until"), rows)


COLUMNS = ("task", "name", "state", "attempt", "exit code", "GPUs", "seconds", "message")


def task_of(view: Json) -> Task:
    """The task of the engine's JSON."""
    kept: Json = {field.name: view.get(field.name) for field in fields(Task)}
    return Task(
        **kept
        | {
            "run": view["run"]["id"],
            "submitted_at": _time(view["submitted_at"]),
            "started_at": _time(view["started_at"]),
            "ended_at": _time(view["ended_at"]),
            "gpus": tuple(view["gpus"]),
            "metrics": view["results"],
            "command": tuple(view["command"]),
        }
    )


def gpu_of(view: Json) -> Gpu:
    """The GPU of the engine's JSON."""
    return Gpu(**{field.name: view[field.name] for field in fields(Gpu)} | {"holders": tuple(view["holders"])})


def pool_of(view: Json) -> Pool:
    """The pool of the engine's JSON."""
    kept: Json = {field.name: view[field.name] for field in fields(Pool)}
    return Pool(**kept | {"until": _time(view["until"]), "holders": tuple(view["holders"])})


def result_file(home: Path, task: Task) -> Path:
    """Where a called function's result is."""
    return home / "runs" / str(task.run) / str(task.id) / str(task.attempt) / "out" / "result.json"


def returned_nothing(file: Path) -> bool:
    """Whether a function on a warm worker returned None: its exit record says so, and there is no such file."""
    if file.exists():
        return False
    record = json.loads((file.parents[1] / "exit.json").read_bytes())
    return "result" in record and record["result"] is None


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _row(task: Task) -> Json:
    row = {field.name: getattr(task, field.name) for field in fields(task) if field.name not in ("params", "metrics")}
    row["seconds"] = task.seconds
    for kind, values in (("params", task.params), ("metrics", task.metrics)):
        row |= {f"{kind}.{name}": value for name, value in (values or {}).items()}
    return row


def _cells(task: Task) -> Sequence[object]:
    exit_code = "" if task.exit_code is None else task.exit_code
    seconds = "" if task.seconds is None else f"{task.seconds:.1f}"
    return task.id, task.name, task.state, task.attempt, exit_code, len(task.gpus), seconds, task.message


def _gpu_cells(gpu: Gpu) -> Sequence[object]:
    name = f"{gpu.name} (virtual)" if gpu.virtual else gpu.name
    return gpu.index, name, gpu.vram_mib, gpu.free_mib, gpu.state, ", ".join(map(str, gpu.holders))


def _summary(tasks: Sequence[Task]) -> str:
    counts: dict[str, int] = {}
    for task in tasks:
        counts[task.state] = counts.get(task.state, 0) + 1
    return ", ".join(f"{count} {state}" for state, count in counts.items())
