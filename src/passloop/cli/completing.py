"""What the shell's completion offers for ids, runs, groups and GPUs. It must be quick and never fail."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from passloop.cli.reads import Reads

__all__ = ["complete_groups", "complete_selectors"]

_OFFERED = 40
_STATES = ("failed", "running", "ready", "waiting", "held", "succeeded", "cancelled")


def complete_selectors(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[Any]:
    """Task ids with their names, runs as `@name`, and the words that selectors begin with."""
    from click.shell_completion import CompletionItem

    offers = [(str(task["id"]), f"{task['state']} {task['name']}") for task in _tasks(ctx)]
    offers += [(f"@{name}", "run") for name in sorted({run["name"] for run in _runs(ctx) if run["name"]})]
    offers += [("last", "the newest task")] + [(f"state:{state}", "") for state in _STATES]
    return [CompletionItem(value, help=text) for value, text in offers if value.startswith(incomplete)]


def complete_groups(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[Any]:
    """Groups that recent tasks are in, and those around them."""
    from click.shell_completion import CompletionItem

    paths = {str(task.get("group") or "default") for task in _tasks(ctx)}
    groups = {path[:end] for path in paths for end in range(1, len(path) + 1) if path[end : end + 1] in ("", "/")}
    return [CompletionItem(group) for group in sorted(groups) if group.startswith(incomplete)]


def _tasks(ctx: click.Context) -> list[dict[str, Any]]:
    """The newest tasks, the newest first."""
    from passloop.cli.reads import Ask

    return _read(ctx, lambda reads: reads.tasks(Ask(limit=_OFFERED))["tasks"])[::-1]


def _runs(ctx: click.Context) -> list[dict[str, Any]]:
    """The newest runs; many of them are older than the newest tasks."""
    return _read(ctx, lambda reads: reads.runs()["runs"])[:_OFFERED]


def _read(ctx: click.Context, ask: Callable[[Reads], list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Nothing if it cannot be read, for a shell prompt is no place for an error."""
    from passloop.cli.exits import CliError
    from passloop.cli.reads import open_reads
    from passloop.store.errors import StoreError

    try:
        return ask(open_reads(ctx))
    except (CliError, StoreError, OSError, ValueError):
        return []
