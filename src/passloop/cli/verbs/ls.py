"""`passloop ls`: the table of tasks. Without a selector, the last 50 of all and how many more there are."""

from __future__ import annotations

from typing import Any

import click

from passloop.cli import streams
from passloop.cli.homes import no_store_text
from passloop.cli.options import group_option, json_option, selectors_argument
from passloop.cli.picking import require_named
from passloop.cli.reads import Ask, open_reads, selectors_of
from passloop.cli.spans import since, span_text, task_span
from passloop.cli.tables import Column, table
from passloop.cli.wording import FINAL, STATE_COLOURS, request_text, result_text

__all__ = ["command", "task_lines"]

_SHOWN = 50
_COLUMNS = (
    Column("ID", right=True),
    Column("STATE"),
    Column("NAME", shrinks=True),
    Column("RUN", shrinks=True, spare=2),
    Column("GROUP", shrinks=True, spare=4),
    Column("NEEDS", shrinks=True, spare=3),
    Column("TRY", right=True, spare=1),
    Column("TIME", right=True),
    Column("RESULT", shrinks=True),
)


@click.command("ls")
@selectors_argument
@click.option("--failed", is_flag=True, help="Short for the selector state:failed.")
@group_option
@click.option("--limit", metavar="N", type=click.IntRange(min=1), help="The newest N only.")
@click.option("--jsonl", is_flag=True, help="One JSON document per task and line.")
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    *,
    selectors: tuple[str, ...],
    failed: bool,
    group: str | None,
    limit: int | None,
    jsonl: bool,
    as_json: bool,
) -> None:
    """List tasks.

    SELECTOR is an id (12), a range (12-40), last, @run, state:failed, class:NAME, key:GLOB or
    group:NAME (with the groups inside it).
    """
    reads = open_reads(ctx)
    whole = as_json or jsonl or limit is not None
    ask = Ask(selectors_of(selectors, failed=failed), group, limit if whole else _SHOWN)
    found = reads.tasks(ask)
    require_named(reads, selectors, {task["id"] for task in found["tasks"]})
    if as_json:
        streams.emit_json({"schema_version": 1, "tasks": found["tasks"]})
    elif jsonl:
        _emit_lines(found["tasks"])
    elif not reads.stored:
        streams.say(f"no tasks: {no_store_text(reads.home)}")
    else:
        _show(found["tasks"], int(found.get("total", len(found["tasks"]))), running=reads.running)


def task_lines(tasks: list[dict[str, Any]]) -> list[str]:
    """The lines of the table of `tasks`."""
    rows = [_cells(task) for task in tasks]
    colours = [["", STATE_COLOURS.get(task["state"], ""), *[""] * (len(_COLUMNS) - 2)] for task in tasks]
    used = [at for at in range(len(_COLUMNS)) if _worth_showing(at, rows)]
    return table(
        [_COLUMNS[at] for at in used],
        [[row[at] for at in used] for row in rows],
        width=streams.width(),
        colours=[[colour[at] for at in used] for colour in colours],
    )


def _worth_showing(at: int, rows: list[list[str]]) -> bool:
    heading = _COLUMNS[at].heading
    if heading == "GROUP":
        return any(row[at] != "default" for row in rows)
    return heading != "RESULT" or any(row[at] for row in rows)


def _cells(task: dict[str, Any]) -> list[str]:
    return [
        str(task["id"]),
        task["state"],
        task.get("name") or "",
        _run_text(task),
        task.get("group") or "",
        request_text(task.get("request") or []),
        str(task.get("attempt") or 0),
        _time_text(task),
        result_text(task),
    ]


def _run_text(task: dict[str, Any]) -> str:
    """The run as `@` takes it; its name where it is more than one command's."""
    run = task.get("run") or {}
    of_many = task.get("index") is not None or task.get("params") is not None
    return f"{run.get('id', '')} {run.get('name') or ''}".strip() if of_many else str(run.get("id", ""))


def _time_text(task: dict[str, Any]) -> str:
    ran = task_span(task)
    if ran is not None and (task["state"] in FINAL or task["state"] in ("running", "stopping")):
        return span_text(ran)
    return "" if task["state"] in FINAL else f"+{span_text(since(task.get('submitted_at')))}"


def _show(tasks: list[dict[str, Any]], total: int, *, running: bool) -> None:
    if not tasks:
        streams.say("no tasks" if total == 0 else "no tasks match")
    else:
        for line in task_lines(tasks):
            streams.emit(line)
    if total > len(tasks):
        streams.say(f"... and {total - len(tasks):,} older; see them with --limit {total} or a selector")
    if not running and any(task["state"] not in FINAL for task in tasks):
        streams.say("no engine is running: nothing new starts (passloop up)")


def _emit_lines(tasks: list[dict[str, Any]]) -> None:
    import json

    for task in tasks:
        streams.emit_data(json.dumps(task, ensure_ascii=False))
