"""Why a run does not go on: what its tasks wait for, one of each kind, in sentences; and of one whose tasks come one
after the other (a study, a matrix, a dataset) why no more of it comes now.

The engine's reason engine decides; without an engine only what the store holds is told. It changes nothing.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from passloop.apps.text import without_unit
from passloop.cli import streams
from passloop.cli.client import Client, quoted
from passloop.cli.picking import standing
from passloop.cli.reads import Ask, Reads
from passloop.cli.spans import local_time
from passloop.cli.wording import COMING, counted

__all__ = ["emit_run_why", "run_why", "still_gets_tasks"]

_STATES = {
    "open": "is open",
    "asked": "is open",
    "resting": "waits for an end of its tasks",
    "failed": "is paused",
    "exhausted": "brings no more: all its tasks are there",
    "cancelled": "was cancelled",
}

_WAITING = ("ready", "backoff", "held")
_LOOKED_AT = 500
"""Tasks of a state among which one of each group is sought."""
_TOLD = 8
"""Groups that are told of."""


def run_why(reads: Reads, word: str) -> dict[str, Any] | None:
    """Of a run as a selector names it (`@12`, `@name`): what its tasks wait for, and if they come from a source, why no
    more come; None for any other word, and for a run of one task.
    """
    found = _found(reads, word)
    if found is None:
        return None
    source = found.get("source")
    if source is None:
        return _of_tasks(reads, word, found)
    tasks = {state: count for state, count in found["counts"].items() if count}
    return {
        "schema_version": 1,
        "run": {"id": found["id"], "name": found["name"]},
        "state": source["state"],
        "message": without_unit(source["message"]),
        "tasks": tasks,
        "blockers": source.get("blockers", []),
        "lags": source.get("lags", []),
        "waiting": _waiting(reads, found["id"], tasks) if reads.running else [],
    }


def still_gets_tasks(reads: Reads, word: str) -> bool:
    """Whether a run, as a selector names it, has tasks to come that are not written out yet."""
    source = (_found(reads, word) or {}).get("source") or {}
    return source.get("state") in COMING


def _found(reads: Reads, word: str) -> dict[str, Any] | None:
    if not word.startswith("@"):
        return None
    return _of_engine(reads.home, word[1:]) if reads.running else _of_store(reads.home, word[1:])


def _of_tasks(reads: Reads, word: str, found: dict[str, Any]) -> dict[str, Any] | None:
    """Of a run whose tasks are all there: of those that wait alike the first, and how many they are. A task that was
    retried or submitted again counts as its newest one.
    """
    tasks = standing(reads.tasks(Ask((word,)))["tasks"])
    if len(tasks) == 1:
        return None
    alike: dict[str, list[dict[str, Any]]] = {}
    for task in tasks:
        if task["state"] in (*_WAITING, "waiting"):
            alike.setdefault(json.dumps([task["state"], task["group"], task["request"], task["after"]]), []).append(
                task
            )
    counts = Counter(task["state"] for task in tasks)
    return {
        "schema_version": 1,
        "run": {"id": found["id"], "name": found["name"]},
        "state": None,
        "message": "",
        "tasks": dict(sorted(counts.items())),
        "blockers": [],
        "lags": [],
        "waiting": [_first(reads, some) for some in list(alike.values())[:_TOLD]] if reads.running else [],
    }


def _first(reads: Reads, alike: list[dict[str, Any]]) -> dict[str, Any]:
    first = alike[0]
    return {
        "group": first["group"],
        "task": first["id"],
        "state": first["state"],
        "alike": len(alike),
        "blockers": reads.why(first["id"])["blockers"],
    }


def _waiting(reads: Reads, run: int, counts: dict[str, Any]) -> list[dict[str, Any]]:
    """Of each group of the run's tasks that wait (of a dataset: each column) one task with its blockers."""
    found: dict[str, dict[str, Any]] = {}
    for state in (state for state in _WAITING if counts.get(state)):
        tasks = reads.tasks(Ask((f"@{run}", f"state:{state}"), limit=_LOOKED_AT))["tasks"]
        for task in tasks:
            found.setdefault(str(task["group"]), task)
    return [
        {"group": group, "task": task["id"], "state": task["state"], "blockers": reads.why(task["id"])["blockers"]}
        for group, task in sorted(found.items())[:_TOLD]
    ]


def emit_run_why(answer: dict[str, Any], *, running: bool) -> None:
    """The same for people."""
    run, tasks = answer["run"], answer["tasks"]
    counts = ", ".join(f"{count} {state}" for state, count in tasks.items())
    said = f": {counts}" if counts else ""
    state = f" {_STATES.get(answer['state'], answer['state'])}" if answer["state"] else ""
    streams.emit(f"run {run['id']} {streams.clean(run['name'])}{state}{said}")
    if answer["message"]:
        streams.emit(f"  {streams.clean(answer['message'])}")
    for blocker in answer["blockers"]:
        streams.emit(f"  {streams.clean(blocker['sentence'])}")
    for lag in answer["lags"]:
        what = streams.clean(lag["group"] or f"part {lag['node']}")
        streams.emit(
            f"  {what}: {counted(lag['units'], 'row group')} wait unwritten, so that memory is left for others"
        )
    for one in answer["waiting"]:
        _emit_waiting(one)
    waiting = sum(tasks.get(state, 0) for state in ("ready", "waiting", "held", "backoff"))
    if waiting:
        streams.say(f"{counted(waiting, 'task')} of it wait: passloop ls @{run['id']} state:ready, passloop why ID")
    if not running and (waiting or answer["state"]):
        streams.say("no engine is running: nothing new starts (passloop up)")


def _emit_waiting(one: dict[str, Any]) -> None:
    """What holds one group, or tasks that are alike, by the first of them that waits."""
    others = one.get("alike", 1) - 1
    more = f" and {counted(others, 'task')} like it" if others else ""
    streams.emit(f"  {streams.clean(one['group'])}, task {one['task']}{more}:")
    for blocker in one["blockers"]:
        until = f", expected {local_time(blocker['until'])}" if blocker.get("until") else ""
        streams.emit(f"    {streams.clean(blocker['sentence'])}{until}")


def _of_engine(home: str, name: str) -> dict[str, Any] | None:
    from passloop.cli.exits import CliError, Exit

    try:
        found: dict[str, Any] = Client(home).get(f"/runs/{quoted(name)}")["run"]
    except CliError as refused:
        if refused.exit_code == Exit.NOT_FOUND:
            return None
        raise
    return found


def _of_store(home: str, name: str) -> dict[str, Any] | None:
    from passloop.apps.queue.views import source_view
    from passloop.store.home import Home
    from passloop.store.reader import Reader

    with Reader.open(Home(Path(home))) as reader:
        view = reader.run(name)
    if view is None:
        return None
    counts = {str(state): count for state, count in view.counts.items()}
    found: dict[str, Any] = {"id": view.row.id, "name": view.row.name, "counts": counts}
    return found if view.source is None else found | {"source": source_view(view.source)}
