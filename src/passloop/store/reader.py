"""The store's reading side: what people and pages ask about tasks, runs and attempts. It can write nothing.

Each `Reader` has its own connection and may be used from any thread, one question at a time. Every answer is
taken from one committed state, however many statements it takes, and taken whole, so that no question that was
answered keeps the log from being written back.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import apsw

from passloop.kernel.tasks import AttemptRow, Dependency, RunRow, TaskRow, TaskSpec

from .connection import REPAIR_HINT, open_reading, transaction, translated
from .errors import StoreDamaged, StoreMissing
from .filters import TaskFilter, conditions_of
from .home import Home
from .journal import JournalRow, last_row, rows_after, rows_before
from .limits import LimitStep, limit_steps_of
from .listing import Page, groups_of, page_of
from .lookups import Keyed, Standing, environment, keyed, tasks_from
from .records import (
    ATTEMPT_FIELDS,
    TASK_FIELDS,
    Values,
    decode_depends,
    decode_spec,
    encode_json,
    read_attempt,
    read_task,
)
from .samples import Sample, read_device, read_samples
from .sources import SourceHead, SourceView, source_of, sources_of
from .spans import Span, WaitingTask, read_looks, read_spans, read_waits
from .sql import statement
from .tallies import Call, CallCount, NodeCount, NodeSpent, calls_like, calls_of, nodes_of, spent_of, spent_under

__all__ = ["Reader", "RunView", "TaskView"]

NEWEST = 2**63 - 1
SPECS_KEPT = 10_000


class TaskView(NamedTuple):
    """A task with what belongs to it: `payload` and `results` are JSON text, `latest` its newest attempt."""

    row: TaskRow
    run_name: str
    spec: TaskSpec
    after: tuple[Dependency, ...]
    payload: str
    results: str | None
    latest: AttemptRow | None


class RunView(NamedTuple):
    """A run with the JSON text about it, how many of its tasks are in which state, and the source of tasks to come."""

    row: RunRow
    about: str
    counts: dict[str, int]
    source: SourceHead | None = None


class Reader:
    """Answers questions about what is committed."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise StoreMissing(f"there is no store in {path.parent}", hint="Submit something first.")
        self._path = path
        self._lock = threading.Lock()
        self._connection = open_reading(path)
        self._specs: dict[int, TaskSpec] = {}

    @classmethod
    def open(cls, home: Home) -> Reader:
        """Read the store of `home`, with or without an engine. Raises `StoreMissing`, `StoreDamaged`."""
        return cls(home.database)

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._connection.close()

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def tasks(self, wanted: TaskFilter | None = None, *, limit: int = -1) -> list[TaskView]:
        """The newest `limit` tasks of those wanted (-1: all), in ascending order."""
        conditions, bindings = conditions_of(wanted or TaskFilter())
        query = statement("list_tasks").format(conditions=conditions)
        with self._asking() as connection:
            rows = connection.execute(query, {**bindings, "limit": limit}).fetchall()
            return [self._view(values) for values in rows]

    def task(self, task: int) -> TaskView | None:
        """One task."""
        found = self.tasks(TaskFilter(ids=((task, task),)))
        return found[0] if found else None

    def task_ids(self, wanted: TaskFilter) -> list[int]:
        """Ids of the tasks wanted, ascending."""
        conditions, bindings = conditions_of(wanted)
        with self._asking() as connection:
            rows = connection.execute(statement("list_task_ids").format(conditions=conditions), bindings)
            return [task for (task,) in rows]

    def count(self, wanted: TaskFilter | None = None) -> int:
        """How many tasks are wanted."""
        with self._asking() as connection:
            if wanted is None or wanted == TaskFilter():
                return int(connection.execute(statement("count_all_tasks")).get)
            conditions, bindings = conditions_of(wanted)
            query = statement("count_tasks").format(conditions=conditions)
            return int(connection.execute(query, bindings).get)

    def counts(self) -> dict[str, int]:
        """How many tasks are in which state."""
        with self._asking() as connection:
            rows = connection.execute(statement("count_by_state"))
            return {str(state): int(str(count)) for state, count in rows}

    def last_task(self) -> int | None:
        """The id of the newest task."""
        with self._asking() as connection:
            found = connection.execute(statement("select_last_task")).get
            return None if found is None else int(found)

    def newest_task_of(self, run: int) -> int | None:
        """The id of the newest task of a run."""
        with self._asking() as connection:
            found = connection.execute(statement("select_newest_task_of"), (run,)).get
            return None if found is None else int(found)

    def task_classes(self) -> list[str]:
        """Every class that durations of some task are filed under."""
        with self._asking() as connection:
            return [str(name) for (name,) in connection.execute(statement("list_task_classes"))]

    def last_seq(self) -> int:
        """The number of the last committed batch; 0 before the first."""
        with self._asking() as connection:
            return int(connection.execute(statement("select_last_seq")).get)

    def last_now(self) -> int:
        """Engine time of the last committed batch, in ms; 0 before the first."""
        with self._asking() as connection:
            last = last_row(connection)
            return 0 if last is None else last.now

    def attempts(self, task: int) -> list[AttemptRow]:
        """All attempts of a task, oldest first."""
        with self._asking() as connection:
            return [read_attempt(row) for row in connection.execute(statement("select_task_attempts"), (task,))]

    def run_attempts(self, run: int) -> list[AttemptRow]:
        """All attempts of a run's tasks, oldest first."""
        with self._asking() as connection:
            return [read_attempt(row) for row in connection.execute(statement("select_run_attempts"), (run,))]

    def runs(self, *, limit: int = -1, before: int = NEWEST) -> list[RunView]:
        """The newest `limit` runs (-1: all) with an id under `before`, newest first."""
        with self._asking() as connection:
            rows = connection.execute(statement("select_runs"), (before, limit)).fetchall()
            return _with_counts(connection, rows)

    def run(self, name: str) -> RunView | None:
        """The run with this id, or the newest one of this name."""
        by_id = name.isascii() and name.isdigit() and len(name) < len(str(NEWEST))
        query = statement("select_run" if by_id else "select_run_named")
        with self._asking() as connection:
            rows = connection.execute(query, (int(name) if by_id else name,)).fetchall()
            found = _with_counts(connection, rows)
        return found[0] if found else None

    def source(self, run: int) -> SourceView | None:
        """The source of a run with its spec, if it has one."""
        with self._asking() as connection:
            return source_of(connection, run)

    def unit_spec(self, run: int, unit: int) -> str | None:
        """The JSON text that one unit of a run's source was declared with, if it was."""
        with self._asking() as connection:
            found = connection.execute(statement("select_unit_spec"), (run, unit)).get
            return None if found is None else str(found)

    def source_heads(self, runs: Iterable[int]) -> dict[int, SourceHead]:
        """The sources of these runs, by run, without their specs; runs without one are left out."""
        with self._asking() as connection:
            return sources_of(connection, runs)

    def sources_of_kind(self, kind: str) -> list[int]:
        """The runs whose source is of this kind, ascending."""
        with self._asking() as connection:
            return [run for (run,) in connection.execute(statement("select_sources_of_kind"), (kind,))]

    def tasks_from(self, kinds: Iterable[str], among: Iterable[int]) -> list[Standing]:
        """Those of the tasks `among` whose runs have a source of one of these kinds."""
        with self._asking() as connection:
            return tasks_from(connection, kinds, among)

    def count_cells(self, run: int) -> int:
        """How many of the tasks that a run's source brought are there."""
        with self._asking() as connection:
            return int(connection.execute(statement("count_cells"), (run,)).get)

    def unit_tasks(self, run: int, unit: int) -> list[int]:
        """The tasks that one unit of a run's source brought, in their order."""
        with self._asking() as connection:
            return [task for (task,) in connection.execute(statement("select_unit_tasks"), (run, unit))]

    def count_unknown_calls(self, keys: str, message: str) -> int:
        """How many attempts of calls, of tasks whose key is like the glob `keys`, ended with this very message."""
        with self._asking() as connection:
            return int(connection.execute(statement("count_unknown_calls"), (keys, message)).get)

    def ended_units(self, run: int) -> list[int]:
        """The units of a run's source that lack nothing and whose tasks are all final."""
        with self._asking() as connection:
            return [unit for (unit,) in connection.execute(statement("select_ended_units"), (run,))]

    def keyed(self, keys: Iterable[str]) -> dict[str, Keyed]:
        """The newest task of each key that has one, with its state and what it left."""
        with self._asking() as connection:
            return keyed(connection, keys)

    def journal(self, *, after: int = 0, limit: int = -1) -> list[JournalRow]:
        """Journal rows after number `after`, at most `limit` (-1: all)."""
        with self._asking() as connection:
            return list(rows_after(connection, after, limit=limit))

    def journal_before(self, seq: int, *, limit: int) -> list[JournalRow]:
        """The newest `limit` journal rows before number `seq`, newest first."""
        with self._asking() as connection:
            return list(rows_before(connection, seq, limit=limit))

    def page(
        self,
        wanted: TaskFilter,
        *,
        text: str = "",
        states: Sequence[str] = (),
        order: str = "newest",
        offset: int = 0,
        limit: int = 100,
    ) -> Page:
        """One page of the tasks wanted that have `text` in what is shown of them, in one of `listing.ORDERS`."""
        with self._asking() as connection:
            return page_of(connection, wanted, text=text, states=states, order=order, offset=offset, limit=limit)

    def groups(self) -> dict[str, tuple[bool, dict[str, int]]]:
        """Every group: whether it is held, and its tasks by state."""
        with self._asking() as connection:
            return groups_of(connection)

    def spans(self, since: int, until: int, *, limit: int) -> list[Span]:
        """The newest attempts that were under way between two engine times in ms, newest first."""
        with self._asking() as connection:
            return read_spans(connection, since, until, limit=limit)

    def looks(self, until: int) -> list[tuple[int, str]]:
        """The newest looks at devices before an engine time in ms, in their order: when, and their events as JSON."""
        with self._asking() as connection:
            return read_looks(connection, until)

    def waits(self, since: int, until: int, *, limit: int) -> list[WaitingTask]:
        """The newest tasks that were not final between two engine times in ms, newest first."""
        with self._asking() as connection:
            return read_waits(connection, since, until, limit=limit)

    def nodes(self, run: int, *, since: int) -> dict[int, NodeCount]:
        """The tasks of a run's source by node; lately means after the engine time `since` in ms."""
        with self._asking() as connection:
            return nodes_of(connection, run, since=since)

    def spent_under(self, prefix: str) -> dict[str, tuple[int, int]]:
        """Tokens (in, out) that calls of tasks spent whose key begins so, by the second word of the rest of the key."""
        with self._asking() as connection:
            return spent_under(connection, prefix)

    def spent(self, kind: str, *, since: int) -> list[NodeSpent]:
        """Tokens that calls of all sources of a kind spent; lately means after the engine time `since` in ms."""
        with self._asking() as connection:
            return spent_of(connection, kind, since=since)

    def calls(self, pools: Iterable[str], *, since: int, step: int) -> list[CallCount]:
        """Calls that drew on one of these pools since an engine time, by steps of so much time; both in ms."""
        with self._asking() as connection:
            return calls_of(connection, pools, since=since, step=step)

    def limit_steps(self, pools: Iterable[str], *, since: int = 0) -> list[LimitStep]:
        """How many these limits let be under way, step by step from an engine time in ms on, with what held then."""
        with self._asking() as connection:
            return limit_steps_of(connection, pools, since=since)

    def calls_like(self, keys: str) -> list[Call]:
        """The calls of all tasks whose key is like the glob `keys`, in the order in which they were admitted."""
        with self._asking() as connection:
            return calls_like(connection, keys)

    def environment(self, number: str) -> dict[str, str]:
        """A stored environment; empty if there is none of that id."""
        with self._asking() as connection:
            return environment(connection, number)

    def spec(self, number: int) -> TaskSpec:
        """The spec with this number. Raises `StoreDamaged` if it is missing."""
        with self._asking():
            return self._spec(number, 0)

    def samples(self, attempt: int) -> list[Sample]:
        """How busy the devices of an attempt were, in the order of time."""
        with self._asking() as connection:
            return read_samples(connection, attempt)

    def device_samples(self, uuid: str, since: int, until: int) -> list[Sample]:
        """How busy a device was between two engine times in ms, whichever attempt held it."""
        with self._asking() as connection:
            return read_device(connection, uuid, since, until)

    @contextmanager
    def _asking(self) -> Iterator[apsw.Connection]:
        """The connection in a transaction: what is committed between two statements of an answer is not in it."""
        with self._lock, translated(self._path), transaction(self._connection, begin="BEGIN"):
            yield self._connection

    def _view(self, values: Values) -> TaskView:
        row = read_task(values)
        number, depends, run_name, payload, results = values[TASK_FIELDS : TASK_FIELDS + 5]
        latest = values[-ATTEMPT_FIELDS:]
        return TaskView(
            row=row,
            run_name=run_name or "",
            spec=self._spec(number, row.id),
            after=decode_depends(depends),
            payload=payload or "{}",
            results=results,
            latest=None if latest[0] is None else read_attempt(latest),
        )

    def _spec(self, number: int, task: int) -> TaskSpec:
        spec = self._specs.get(number)
        if spec is not None:
            return spec
        body = self._connection.execute(statement("select_spec"), (number,)).get
        if body is None:
            raise StoreDamaged(f"the spec of task {task} is missing", hint=REPAIR_HINT)
        if len(self._specs) >= SPECS_KEPT:
            self._specs.clear()
        return self._specs.setdefault(number, decode_spec(body))


def _with_counts(connection: apsw.Connection, rows: Sequence[Values]) -> list[RunView]:
    counts: dict[int, dict[str, int]] = {row[0]: {} for row in rows}
    for run, state, count in connection.execute(statement("count_by_run"), (encode_json(list(counts)),)):
        counts[run][state] = count
    sources = sources_of(connection, counts)
    return [RunView(RunRow._make(row[:4]), row[4], counts[row[0]], sources.get(row[0])) for row in rows]
