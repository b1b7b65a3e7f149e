"""What the Python API gives back: frozen records made from the engine's JSON. They hold no connection."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from .errors import PassloopError

if TYPE_CHECKING:
    import pandas

__all__ = ["Change", "Gpu", "Json", "RunResult", "Scalar", "Task", "gpu_of", "task_of"]

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
        from html import escape

        shown = self.tasks[-MOST_ROWS:]
        left_out = len(self.tasks) - len(shown)
        body = "".join(
            "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in _cells(task)) + "</tr>" for task in shown
        )
        head = "".join(f"<th>{name}</th>" for name in COLUMNS)
        more = f"<p>{left_out} older tasks are not shown</p>" if left_out else ""
        title = escape(f"run {self.id}: {self.name}, {_summary(self.tasks)}")
        return f"<p>{title}</p><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"


MOST_ROWS = 50
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


def _summary(tasks: Sequence[Task]) -> str:
    counts: dict[str, int] = {}
    for task in tasks:
        counts[task.state] = counts.get(task.state, 0) + 1
    return ", ".join(f"{count} {state}" for state, count in counts.items())
