"""What the shell's completion offers for ids, runs, groups and GPUs. It must be quick and never fail."""

from __future__ import annotations

from typing import Any

import click

__all__ = ["complete_groups", "complete_selectors"]

_OFFERED = 40
_STATES = ("failed", "running", "ready", "waiting", "held", "succeeded", "cancelled")


def complete_selectors(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[Any]:
    """Task ids with their names, runs as `@name`, and the words that selectors begin with."""
    from click.shell_completion import CompletionItem

    offers = [(str(task["id"]), f"{task['state']} {task['name']}") for task in _tasks(ctx)]
    runs = {task["run"]["name"] for task in _tasks(ctx) if (task.get("run") or {}).get("name")}
    offers += [(f"@{name}", "run") for name in sorted(runs)]
    offers += [("last", "the newest task")] + [(f"state:{state}", "") for state in _STATES]
    return [CompletionItem(value, help=text) for value, text in offers if value.startswith(incomplete)]


def complete_groups(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[Any]:
    """Groups that recent tasks are in, and those around them."""
    from click.shell_completion import CompletionItem

    paths = {str(task.get("group") or "default") for task in _tasks(ctx)}
    groups = {path[:end] for path in paths for end in range(1, len(path) + 1) if path[end : end + 1] in ("", "/")}
    return [CompletionItem(group) for group in sorted(groups) if group.startswith(incomplete)]


def _tasks(ctx: click.Context) -> list[dict[str, Any]]:
    """The newest tasks; nothing if they cannot be read, for a shell prompt is no place for an error."""
    from passloop.cli.exits import CliError
    from passloop.cli.reads import Ask, open_reads
    from passloop.store.errors import StoreError

    try:
        tasks: list[dict[str, Any]] = open_reads(ctx).tasks(Ask(limit=_OFFERED))["tasks"]
    except (CliError, StoreError, OSError, ValueError):
        return []
    return tasks[::-1]
