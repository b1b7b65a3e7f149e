"""`passloop show`: everything about one task, attempts included."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from passloop.cli import streams
from passloop.cli.options import json_option
from passloop.cli.picking import id_argument, one_task
from passloop.cli.reads import open_reads
from passloop.cli.spans import local_time, millis_of, since, span_text, task_span
from passloop.cli.wording import STATE_COLOURS, command_text, ids_text, plain_text, request_text, result_text

__all__ = ["command"]


@click.command("show")
@id_argument
@json_option
@click.pass_context
def command(ctx: click.Context, *, task: str, as_json: bool) -> None:
    """Show everything about one task: command, request, times, attempts, results."""
    reads = open_reads(ctx)
    answer = reads.task(one_task(reads, task))
    if as_json:
        streams.emit_json(answer)
        return
    facts = [(name, text) for name, text in _facts(answer["task"]) if text]
    room = max(len(name) for name, _ in facts)
    for name, text in facts:
        streams.emit(f"{streams.paint(name.ljust(room), 'dim')}  {text}")
    for attempt in answer["task"].get("attempts") or []:
        streams.emit(_attempt_line(attempt))
    if not reads.running:
        streams.say("no engine is running; this is what the store holds")


def _facts(task: dict[str, Any]) -> Iterator[tuple[str, str]]:
    run = task.get("run") or {}
    state, result = task["state"], result_text(task)
    message = str(task.get("message") or "")
    yield "task", f"{task['id']}  {streams.clean(task.get('name') or '')}"
    yield "state", f"{streams.paint(state, STATE_COLOURS.get(state, ''))}  {streams.clean(result)}".rstrip()
    if task.get("held") and state != "held":
        yield "held", f"no further attempt starts before passloop release {task['id']}"
    yield "message", streams.clean("" if message.replace("_", " ") == result else message)
    yield "run", f"{run.get('id')}  {streams.clean(str(run.get('name') or ''))}".rstrip()
    yield "group", f"{streams.clean(task.get('group') or '')}, priority {task.get('priority', 0)}"
    yield "key", streams.clean(task.get("key") or "")
    yield "command", streams.clean(command_text(task.get("command") or []))
    yield "directory", streams.clean(task.get("cwd") or "")
    yield "needs", request_text(task.get("request") or [])
    params = task.get("params")
    if isinstance(params, dict):
        yield "params", streams.clean(", ".join(f"{name}={plain_text(value)}" for name, value in params.items()))
    yield "after", ids_text(task.get("after") or [])
    yield "after any", ids_text(task.get("after_any") or [])
    yield "gpus", " ".join(task.get("gpus") or [])
    yield "submitted", local_time(task.get("submitted_at"))
    yield "started", local_time(task.get("started_at"))
    yield "ended", local_time(task.get("ended_at"))
    yield "took", span_text(task_span(task))
    yield "time limit", span_text(task.get("time_limit_ms"))
    yield "files", streams.clean(task.get("directory") or "")
    yield "retried by", str(task.get("retried_by") or "")
    for name, value in (task.get("results") or {}).items():
        yield f"  {streams.clean(name)}", streams.clean(plain_text(value))


def _attempt_line(attempt: dict[str, Any]) -> str:
    number = attempt.get("attempt") or attempt.get("epoch")
    end = attempt.get("outcome") or attempt.get("state") or ""
    code = attempt.get("exit_code")
    words = [f"attempt {number}:", str(end).replace("_", " ")]
    if code is not None and end != "success":
        words.append(f"(exit {code})")
    words += [span_text(_attempt_span(attempt)), " ".join(attempt.get("gpus") or [])]
    message = streams.clean(str(attempt.get("message") or ""))
    parts = (" ".join(filter(None, words)), _seen_text(attempt), message)
    return "  ".join(part for part in parts if part)


def _seen_text(attempt: dict[str, Any]) -> str:
    """How busy its devices were, and that its worker leaked, where that was seen."""
    use, growth = attempt.get("device_use"), attempt.get("growth")
    told = []
    if use:
        told.append(f"GPU {use['mean_percent']} % busy, at most {use['peak_percent']} % and {use['peak_mib']:,} MiB")
    if growth:
        told.append(f"its worker grew by {growth['mib']:,} MiB in {growth['cells']} cells (a leak?)")
    return "; ".join(told)


def _attempt_span(attempt: dict[str, Any]) -> int | None:
    started, ended = millis_of(attempt.get("started_at")), millis_of(attempt.get("ended_at"))
    if started is None:
        return None
    return since(attempt["started_at"]) if ended is None else max(0, ended - started)
