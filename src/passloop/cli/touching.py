"""What the verbs that act on tasks share: choosing tasks, asking the engine, listing what was touched.

The engine decides what may be done to a task; nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import click

from passloop.cli import streams
from passloop.cli.client import Client, quoted
from passloop.cli.exits import CliError, Exit
from passloop.cli.homes import client_of
from passloop.cli.reads import Ask, EngineReads, selectors_of
from passloop.cli.wording import ENDING, FINAL, counted, ids_text

__all__ = ["Choice", "touch", "touch_group"]

_LISTED = 20
"""How many reasons, and how many parts of folded ids, are told one by one."""

_LETS_GO_ON = ("retry", "release")


class Choice(NamedTuple):
    """Which tasks a verb acts on, and how it answers."""

    selectors: tuple[str, ...]
    failed: bool
    group: str | None
    dry_run: bool
    as_json: bool

    @property
    def whole_group(self) -> bool:
        """Whether a group is meant, and not some of its tasks."""
        return self.group is not None and not self.selectors and not self.failed

    def words(self) -> tuple[str, ...]:
        """All selectors."""
        words = selectors_of(self.selectors, failed=self.failed)
        return words if self.group is None else (*words, f"group:{self.group}")


def touch(
    ctx: click.Context,
    verb: str,
    done: str,
    choice: Choice,
    extra: dict[str, Any] | None = None,
    *,
    first: Callable[[Client, list[int]], list[int]] | None = None,
    leaves: Callable[[EngineReads, list[dict[str, Any]]], list[dict[str, Any]]] | None = None,
) -> None:
    """POST `/tasks/{verb}` for the chosen tasks and say what was `done` to which.

    `first` may tell more of those that were changed, and gives the ones to which it is not `done` yet. Of a dry run
    `leaves` gives the tasks that would not be touched.
    """
    words = choice.words()
    if not words:
        raise CliError(f"{verb} what? name tasks", hint=f"passloop {verb} last (or 12, 12-40, @run, --failed)")
    client = client_of(ctx)
    if choice.dry_run:
        reads = EngineReads(client)
        tasks = reads.tasks(Ask(words))["tasks"]
        left = {task["id"] for task in (leaves(reads, tasks) if leaves is not None else ())}
        _list_plan(verb, tasks, left, as_json=choice.as_json)
        return
    answer = client.post(f"/tasks/{verb}", {"select": list(words), **(extra or {})})
    if choice.as_json:
        streams.emit_json(answer)
    else:
        not_yet = set(first(client, answer.get("changed") or []) if first is not None else ())
        _show(answer | {"changed": [task for task in answer.get("changed") or [] if task not in not_yet]}, done)
    if answer.get("ending") and verb in _LETS_GO_ON:
        streams.say(ENDING)
    if not any(answer.get(name) for name in ("changed", "unchanged", "sources")):
        raise CliError("no task matches", hint="passloop ls", exit_code=Exit.NOT_FOUND)


def _list_plan(verb: str, tasks: list[dict[str, Any]], left: set[int], *, as_json: bool) -> None:
    if not tasks:
        raise CliError("no task matches", hint="passloop ls", exit_code=Exit.NOT_FOUND)
    would = [task for task in tasks if _may_touch(verb, task) and task["id"] not in left]
    if as_json:
        streams.emit_json({"schema_version": 1, "would": verb, "tasks": [task["id"] for task in would]})
        return
    from passloop.cli.verbs.ls import task_lines

    streams.emit(f"would {verb} {counted(len(would), 'task')}" + (":" if would else ""))
    for line in task_lines(would) if would else ():
        streams.emit(line)
    stay = len(tasks) - len(would)
    if stay:
        streams.say(f"{counted(stay, 'task')} would stay as {'it is' if stay == 1 else 'they are'}")


def _may_touch(verb: str, task: dict[str, Any]) -> bool:
    is_final = task["state"] in FINAL
    if verb == "retry":
        return is_final and task["state"] != "succeeded" and task["retried_by"] is None
    return is_final if verb == "rm" else not is_final


def _show(answer: dict[str, Any], done: str) -> None:
    changed, created = answer.get("changed") or [], answer.get("created") or []
    if changed:
        streams.emit(f"{done} {counted(len(changed), 'task')}: {ids_text(changed)}")
    if created:
        streams.emit(f"as {ids_text(created)}")
    for run in answer.get("sources") or []:
        streams.emit(f"{done} what is still to come of run {run}")
    if answer.get("answers"):
        from passloop.apps.queue.kept_results import PAID_AGAIN

        streams.say(f"{answer['answers']:,} of these {'was' if answer['answers'] == 1 else 'were'} {PAID_AGAIN}")
    for line in _unchanged_lines(answer.get("unchanged") or []):
        streams.say(line)


def _unchanged_lines(unchanged: list[dict[str, Any]]) -> list[str]:
    """Tasks that are as they were, those with the same reason together."""
    alike: dict[str, list[int]] = {}
    for entry in unchanged:
        alike.setdefault(str(entry["reason"]), []).append(int(entry["task"]))
    lines = []
    for reason, tasks in list(alike.items())[:_LISTED]:
        who = (
            f"task {tasks[0]} is as it was"
            if len(tasks) == 1
            else f"tasks {_few(tasks)} are as they were, each of them"
        )
        lines.append(f"{who}: {streams.clean(reason)}")
    left = sum(map(len, list(alike.values())[_LISTED:]))
    return [*lines, f"... and {left:,} more that are as they were"] if left else lines


def _few(tasks: list[int]) -> str:
    """Ids with neighbours folded; of very many parts the first."""
    parts = ids_text(tasks).split()
    return " ".join(parts[:_LISTED]) + (" ..." if len(parts) > _LISTED else "")


def touch_group(ctx: click.Context, verb: str, done: str, choice: Choice) -> None:
    """POST `/groups/{name}/{verb}`: the group itself, and so the tasks it gets later."""
    group = choice.group or "default"
    client = client_of(ctx)
    answer = client.post(f"/groups/{quoted(group)}/{verb}")
    if choice.as_json:
        streams.emit_json(answer)
        return
    changed = answer.get("changed") or []
    tasks = f" with {counted(len(changed), 'task')}: {ids_text(changed)}" if changed else ""
    streams.emit(f"{done} the group {streams.clean(group)}{tasks}")
    if verb == "release":
        _say_still_held(client, group)
        if answer.get("ending"):
            streams.say(ENDING)


def _say_still_held(client: Client, group: str) -> None:
    """Groups around and inside one may be held by themselves, and so keep what is in them."""
    from passloop.store.filters import is_inside

    for other in client.get("/groups")["groups"]:
        around = is_inside(group, other["name"])
        if other["held"] and (around or is_inside(other["name"], group)):
            name = streams.clean(other["name"])
            streams.say(
                f"but the group {name} {'around' if around else 'inside'} it is held: passloop release --group {name}"
            )
