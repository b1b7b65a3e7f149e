"""Verbs that look at one task: its argument, and the id it stands for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from passloop.cli.completing import complete_selectors
from passloop.cli.exits import CliError, Exit
from passloop.cli.reads import Ask, Reads

__all__ = ["id_argument", "one_task"]

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
