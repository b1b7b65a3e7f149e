"""`passloop wait`: blocks until tasks have ended; its exit code is that of the work."""

from __future__ import annotations

import time
from typing import Any

import click

from passloop.cli import streams
from passloop.cli.client import Client, EngineLost, no_engine
from passloop.cli.exits import CliError, Exit
from passloop.cli.lasting_reads import LastingReads
from passloop.cli.options import group_option, json_option, selectors_argument
from passloop.cli.picking import require_named, standing
from passloop.cli.reads import Ask, Reads, open_reads, selectors_of
from passloop.cli.wording import FINAL, command_text, counted, ids_text

__all__ = ["command", "exit_code_of_all", "wait_for"]

_POLL_MS = 300_000
"""How long one request may last; the engine answers at once when the tasks are final."""
_WORDS = 500
"""How many selectors go into one request."""
_FOLDED = 10
"""How many ids and ranges are told one by one."""


@click.command("wait")
@selectors_argument
@group_option
@click.option("--timeout", metavar="SPAN", help="Give up after this: exit 124.")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    *,
    selectors: tuple[str, ...],
    group: str | None,
    timeout: str | None,
    quiet: bool,
    as_json: bool,
) -> int:
    """Wait until tasks have ended: exit 0 if all succeeded, 1 if not, 124 if time ran out.

    Without a selector it waits for everything that has not ended now. In a run (a sweep: all its submissions) or a
    group a task that was retried or submitted again counts as its newest one did. Of a run that still gets tasks (a
    matrix, a dataset, a study) it waits for all that come.
    """
    span = None if timeout is None else _seconds(timeout)
    reads = _lasting(open_reads(ctx), span)
    words = selectors_of(selectors) if group is None else (*selectors, f"group:{group}")
    found = _found(reads, words)
    require_named(reads, selectors, {task["id"] for task in found})
    whole = words if any(map(_is_group, words)) else tuple(filter(_is_run, words))
    if words and not found and not _more_comes(reads, whole):
        _refuse_unless_runs(words)
        streams.say(f"nothing to wait for: {' '.join(words)} has no tasks")
    try:
        ended = _wait_for_all(reads, words, whole, span, quiet=quiet or as_json)
    except KeyboardInterrupt:
        _say_how_to_go_on(words, [task["id"] for task in found if task["state"] not in FINAL])
        return int(Exit.INTERRUPTED)
    if as_json:
        streams.emit_json(ended)
    return _verdict(ended, quiet=quiet or as_json)


def _lasting(reads: Reads, span: float | None) -> Reads:
    """The same, which goes on with the next engine if that comes within `span` seconds."""
    return LastingReads(Client(reads.home).patient(span)) if reads.running else reads


def _found(reads: Reads, words: tuple[str, ...]) -> list[dict[str, Any]]:
    """The tasks to wait for, as they are now."""
    found: list[dict[str, Any]] = reads.tasks(Ask(words))["tasks"]
    if not words:
        return [task for task in found if task["state"] not in FINAL]
    return standing(found) if any(_is_run(word) or _is_group(word) for word in words) else found


def _wait_for_all(
    reads: Reads, words: tuple[str, ...], whole: tuple[str, ...], span: float | None, *, quiet: bool
) -> dict[str, Any]:
    """Wait for what is there; if more came meanwhile, or is to come, for that too."""
    deadline = None if span is None else time.monotonic() + span
    while True:
        found = _found(reads, words)
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        ended = _wait(reads, found, left, quiet=quiet)
        if not ended["final"] or not whole:
            return ended
        comes = _more_comes(reads, whole)
        if all(task["state"] in FINAL for task in _found(reads, words)):
            if not comes:
                return ended
            answer = _wait_for_some(Client(reads.home).patient(left), list(whole), deadline)
            if not answer["final"]:
                return ended | {"final": False}


def _more_comes(reads: Reads, whole: tuple[str, ...]) -> bool:
    """Whether some run that these words mean whole gets its tasks from a source that is not over."""
    if not whole or not reads.running:
        return False
    query: list[tuple[str, str | int | None]] = [("select", word) for word in whole]
    try:
        return bool(Client(reads.home).get("/wait", [*query, ("timeout_ms", 0)])["coming"])
    except EngineLost:
        from passloop.cli.store_reads import StoreReads

        return StoreReads(reads.home).still_gets_tasks(whole)


def _say_how_to_go_on(words: tuple[str, ...], ids: list[int]) -> None:
    """Interrupted: the tasks are the engine's and go on."""
    folded = ids_text(ids).split()
    told = tuple(folded) if len(folded) <= _FOLDED else (f"{min(ids)}-{max(ids)}",)
    lasting = ids and (not words or "last" in words)  # `last` may mean another task by then
    again = command_text(["passloop", "wait", *(told if lasting and words else words)])
    end = command_text(["passloop", "cancel", *(told if lasting else words)])
    goes = "goes" if len(ids) == 1 else "go"
    streams.say(f"\ninterrupted; {counted(len(ids), 'task')} had not ended and {goes} on as before")
    streams.say(f"  wait again: {again}\n  end them:   {end}")


def exit_code_of_all(tasks: list[dict[str, Any]]) -> int:
    """0 if all succeeded, else 1."""
    return int(Exit.OK if all(task["state"] == "succeeded" for task in tasks) else Exit.WORK_FAILED)


def wait_for(client: Client, tasks: list[int], deadline: float | None) -> dict[str, Any]:
    """Ask until the tasks are final or the monotonic `deadline` has come: `{"final", "tasks", ...}`."""
    words = ids_text(tasks).split()
    standing: list[dict[str, Any]] = []
    final = True
    for at in range(0, len(words), _WORDS):
        answer = _wait_for_some(client, words[at : at + _WORDS], deadline)
        standing += answer["tasks"]
        final = final and answer["final"]
    return {"schema_version": 1, "final": final, "tasks": standing}


def _wait_for_some(client: Client, words: list[str], deadline: float | None) -> dict[str, Any]:
    """Each engine that is asked is told how much time is left then."""
    query: list[tuple[str, str | int | None]] = [("select", word) for word in words]
    engine = Client(client.home)

    def asked() -> tuple[dict[str, Any], bool]:
        left = _POLL_MS if deadline is None else round((deadline - time.monotonic()) * 1000)
        answer = engine.get("/wait", [*query, ("timeout_ms", max(0, min(left, _POLL_MS)))])
        return answer, answer["final"] or (deadline is not None and left <= _POLL_MS)

    while True:
        answer, is_last = client.until_answered(asked)
        if is_last:
            return answer


def _wait(reads: Reads, tasks: list[dict[str, Any]], span: float | None, *, quiet: bool) -> dict[str, Any]:
    if all(task["state"] in FINAL for task in tasks):
        return _told(_settled(tasks), tasks, quiet=quiet)
    if not reads.running:
        raise no_engine(reads.home)
    ids = [task["id"] for task in tasks]
    if not quiet:
        _say_held([task["id"] for task in tasks if task["state"] == "held"])
    client = Client(reads.home).patient(span)
    if quiet or span is not None:
        deadline = None if span is None else time.monotonic() + span
        return _told(wait_for(client, ids, deadline), tasks, quiet=quiet)
    from passloop.cli.progress import watch_tasks

    return _settled(watch_tasks(client, ids))


def _say_held(ids: list[int]) -> None:
    """Who waits for these waits for whoever releases them."""
    if ids:
        what = "is held and goes" if len(ids) == 1 else "are held and go"
        streams.say(f"{counted(len(ids), 'task')} {what} on only when released: passloop why {min(ids)}")


def _told(ended: dict[str, Any], tasks: list[dict[str, Any]], *, quiet: bool) -> dict[str, Any]:
    """Say which tasks did not succeed: nobody watched them end."""
    if not quiet:
        from passloop.cli.progress import failure_lines

        known = {task["id"]: task for task in tasks}
        for line in failure_lines(known.get(task["id"], {}) | task for task in ended["tasks"]):
            streams.say(line)
    return ended


def _is_run(word: str) -> bool:
    return word.startswith(("@", "run:"))


def _is_group(word: str) -> bool:
    return word.startswith("group:")


def _refuse_unless_runs(words: tuple[str, ...]) -> None:
    """A known run may have no tasks left; anything else that matches nothing is not found."""
    if not all(_is_run(word) for word in words):
        raise CliError("no task matches", hint="passloop ls", exit_code=Exit.NOT_FOUND)


def _settled(tasks: list[dict[str, Any]]) -> dict[str, Any]:
    short = [{name: task.get(name) for name in ("id", "state", "exit_code", "outcome")} for task in tasks]
    return {"schema_version": 1, "final": True, "tasks": short}


def _verdict(ended: dict[str, Any], *, quiet: bool) -> int:
    if not ended["final"]:
        if not quiet:
            streams.say("time ran out; the tasks go on")
        return int(Exit.TIME_LIMIT)
    return exit_code_of_all(ended["tasks"])


def _seconds(text: str) -> float:
    from passloop.apps.errors import BadValue
    from passloop.apps.units import duration_ms

    try:
        return duration_ms(text) / 1000
    except BadValue as bad:
        raise CliError(f"--timeout: {bad.what}", hint=bad.fix) from None
