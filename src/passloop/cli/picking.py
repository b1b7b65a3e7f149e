"""Tasks that are named: the argument of verbs that look at one, the id it stands for, and whether they are there."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import click

from passloop.cli.completing import complete_selectors
from passloop.cli.exits import CliError, Exit
from passloop.cli.reads import Ask, Reads

__all__ = ["id_argument", "one_task", "require_named", "standing"]

F = TypeVar("F", bound=Callable[..., Any])


def id_argument(function: F) -> F:
    """The argument ID: an id, `last`, or any selector that means exactly one task."""
    return click.argument("task", metavar="ID", shell_complete=complete_selectors)(function)


def one_task(reads: Reads, text: str) -> int:
    """The one task that `text` means. Raises `CliError`: exit 3 for none, 2 for several."""
    if text.isascii() and text.isdigit():
        return int(text[:20])
    found = reads.tasks(Ask((text,), limit=2))["tasks"]
    if not found:
        raise CliError(f"no task matches {text!r}", hint="passloop ls", exit_code=Exit.NOT_FOUND)
    if len(found) > 1:
        raise CliError(f"{text!r} means several tasks; this verb shows one", hint=f"passloop ls {text}")
    return int(found[0]["id"])


def require_named(reads: Reads, selectors: Iterable[str], there: set[int]) -> None:
    """A task that is named by its id has to be there, as for `show`; what its state is does not matter. Raises
    `CliError` (exit 3).
    """
    named = {int(part) for word in selectors for part in word.split(",") if part.isascii() and part.isdecimal()}
    unseen = sorted(named - there)
    if unseen:
        known = {task["id"] for task in reads.tasks(Ask(tuple(map(str, unseen))))["tasks"]}
        missing = [task for task in unseen if task not in known]
        if missing:
            raise CliError(f"there is no task {missing[0]}", hint="passloop ls", exit_code=Exit.NOT_FOUND)


def standing(tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of each key the newest task; of the others those that were not retried."""
    there = {task["id"] for task in tasks}
    newest = {task["key"]: task["id"] for task in sorted(tasks, key=lambda task: int(task["id"]))}
    return [
        task
        for task in tasks
        if (newest[task["key"]] == task["id"] if task["key"] else task["retried_by"] not in there)
    ]
