"""Small questions the engine asks while it runs: keys, states, payloads, results, environments. Reads only."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import apsw
import msgspec

from passloop.kernel.ids import RunId, TaskId
from passloop.kernel.tasks import TaskState

from .records import decode_json, encode_json
from .sql import statement

__all__ = [
    "Keyed",
    "Standing",
    "environment",
    "find_keys",
    "keyed",
    "payloads_of",
    "results_of",
    "runs_there",
    "states_of",
    "tasks_from",
]

_environment = msgspec.json.Decoder(dict[str, str])


class Keyed(NamedTuple):
    """The newest task of a key; `results` is JSON text."""

    task: TaskId
    state: TaskState
    results: str | None


class Standing(NamedTuple):
    """How a task stands: its state, how many attempts it had, and its key."""

    task: int
    state: TaskState
    attempts: int
    key: str | None


def keyed(connection: apsw.Connection, keys: Iterable[str]) -> dict[str, Keyed]:
    """The newest task of each key that has one, with what it left."""
    found = connection.execute(statement("select_keyed"), (encode_json(list(keys)),))
    return {key: Keyed(TaskId(task), TaskState(state), body) for key, task, state, body in found}


def find_keys(connection: apsw.Connection, keys: Iterable[str]) -> dict[str, tuple[TaskId, TaskState]]:
    """The newest task of each key that has one."""
    found = connection.execute(statement("select_keys"), (encode_json(list(keys)),))
    return {key: (TaskId(task), TaskState(state)) for key, task, state in found}


def states_of(connection: apsw.Connection, tasks: Iterable[int]) -> dict[TaskId, TaskState]:
    """The state of each task that there is."""
    found = connection.execute(statement("select_states"), (encode_json(list(tasks)),))
    return {TaskId(task): TaskState(state) for task, state in found}


def tasks_from(connection: apsw.Connection, kinds: Iterable[str], among: Iterable[int]) -> list[Standing]:
    """Those of the tasks `among` whose runs have a source of one of these kinds."""
    bindings = {"kinds": encode_json(list(kinds)), "tasks": encode_json(list(among))}
    found = connection.execute(statement("select_tasks_from"), bindings)
    return [Standing(task, TaskState(state), attempts, key) for task, state, attempts, key in found]


def runs_there(connection: apsw.Connection, runs: Iterable[int]) -> frozenset[RunId]:
    """Those of these runs that there are."""
    found = connection.execute(statement("select_run_ids"), (encode_json(list(runs)),))
    return frozenset(RunId(run) for (run,) in found)


def payloads_of(connection: apsw.Connection, tasks: Iterable[int]) -> dict[TaskId, str]:
    """The payload of each task that there is."""
    found = connection.execute(statement("select_payloads"), (encode_json(list(tasks)),))
    return {TaskId(task): body for task, body in found}


def results_of(connection: apsw.Connection, tasks: Iterable[int]) -> dict[TaskId, str]:
    """What each of these tasks left as results, if it left any."""
    found = connection.execute(statement("select_results"), (encode_json(list(tasks)),))
    return {TaskId(task): body for task, body in found}


def environment(connection: apsw.Connection, number: str) -> dict[str, str]:
    """A stored environment; empty if there is none of that id."""
    found = connection.execute(statement("select_environment"), (number,)).fetchone()
    return {} if found is None else decode_json(_environment.decode, found[0], "environment")
