"""Specs that are handed in as text: what is wrong with them, what they would do, and the runs that they become.

What a spec means is said by the command line; here its words become documents, and its new run is found.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from passloop.apps.errors import Problem, SpecError
from passloop.apps.queue.views import Json, document
from passloop.apps.spec_file import SpecFile, parse_spec
from passloop.engine.engine import Engine
from passloop.engine.errors import NotFound
from passloop.store.journal import JournalRow
from passloop.store.reader import Reader
from passloop.web.own_commands import OwnCommands, Said, StartedCommand

__all__ = ["VERBS", "hand_in", "plan", "schema"]

STDIN = "-"
VERBS = {"run": "submit", "bench": "bench", "tune": "tune", "generate": "generate"}
KINDS = (*VERBS, "wire")
NAMING = ("tune", "generate")
"""The kinds whose command says which run is its own. Of a matrix it is the one of its name that is declared then."""
RUN_WITHIN = 30.0
"""Seconds within which a follower has declared its run."""


async def plan(commands: OwnCommands, text: str, cwd: str | None) -> Json:
    """What a spec would do, or everything that is wrong with it."""
    try:
        file = await asyncio.to_thread(_read, text)
    except SpecError as wrong:
        return document(valid=False, problems=[_problem(each) for each in wrong.problems])
    said = await commands.run(["plan", STDIN, "--json"], text=text, cwd=cwd)
    found = _document(said.out)
    if "problems" in found:
        return document(valid=False, problems=[_problem(Problem(**each)) for each in found["problems"]])
    if said.code not in (0, 7) or not found:
        return document(valid=False, problems=[_problem(_said_badly(said))])
    return document(valid=True, kind=file.kind, text=found.pop("text", ""), plan=found)


async def hand_in(engine: Engine, commands: OwnCommands, text: str, cwd: str | None) -> Json:
    """Submit a spec of any kind. Raises `SpecError` with everything that is wrong with it."""
    checked = await plan(commands, text, cwd)
    if not checked["valid"]:
        raise SpecError([Problem(each["what"], each["fix"], each["where"]) for each in checked["problems"]])
    file = await asyncio.to_thread(_read, text)
    name = str(file.root.plain().get(file.kind) or file.kind)
    if file.kind == "run":
        return await _submit(commands, text, name, cwd)
    before = engine.feed.last
    started = await commands.start([VERBS[file.kind], STDIN], text=text, name=name, cwd=cwd)
    run = await _new_run(engine, name, started, after=None if file.kind in NAMING else before)
    if file.kind == "bench" and run is not None:
        # Only a matrix needs it: the files of a dataset are the last task of its run, and a study has none.
        await commands.keep_following(started, ["bench", "--follow", str(run["id"]), STDIN], cwd=cwd)
    return document(kind=file.kind, run=run, spec=str(started.spec), said=started.said())


async def schema(commands: OwnCommands, kind: str) -> Json:
    """The JSON Schema of a kind of spec. Raises `NotFound`."""
    if kind not in KINDS:
        raise NotFound(f"there is no kind of spec called {kind}", hint="use one of: " + ", ".join(KINDS))
    said = await commands.run(["schema", kind])
    found = _document(said.out)
    if said.code != 0 or not found:
        raise NotFound(f"there is no schema of {kind}: {_said_badly(said).what}", hint=f"passloop schema {kind}")
    return found


async def _submit(commands: OwnCommands, text: str, name: str, cwd: str | None) -> Json:
    said = await commands.run(["submit", "--json", STDIN], text=text, cwd=cwd)
    found = _document(said.out)
    if "run" not in found:
        raise SpecError([_said_badly(said)])
    kept = await asyncio.to_thread(commands.keep, text, name)
    return document(kind="run", run=found["run"], spec=str(kept), said=said.err)


async def _new_run(engine: Engine, name: str, started: StartedCommand, *, after: int | None) -> Json | None:
    """The run that a follower says is its own; or, `after` a row of the journal, the first of this name. None if there
    is none: it found nothing to do, or is still at work. What an earlier run of this name did may be of another spec.
    """
    telling = asyncio.ensure_future(started.naming() if after is None else _declared(engine, name, after))
    try:
        await asyncio.wait({telling, started.ended}, timeout=RUN_WITHIN, return_when=asyncio.FIRST_COMPLETED)
        run = telling.result() if telling.done() else None
    finally:
        telling.cancel()
    if run is None and started.ended.done():
        if started.ended.result() not in (0, 1):
            raise SpecError([_said_badly(Said(started.ended.result(), "", started.said()))])
        # It may have said so, or declared it, just before it ended.
        run = started.own_run() if after is None else await _first_of(engine, name, await _rows(engine, after))
    return None if run is None else {"id": run, "name": name}


async def _declared(engine: Engine, name: str, after: int) -> int | None:
    async for rows in engine.journal_events(after):
        if (run := await _first_of(engine, name, rows)) is not None:
            return run
    return None


async def _rows(engine: Engine, after: int) -> list[JournalRow]:
    return await engine.read(lambda reader: reader.journal(after=after))


async def _first_of(engine: Engine, name: str, rows: Iterable[JournalRow]) -> int | None:
    """The first run of this name that these rows of the journal declared."""
    runs = [run for row in rows for run in range(row.first_run, row.next_run)]
    return await engine.read(lambda reader: next((run for run in runs if _name(reader, run) == name), None))


def _name(reader: Reader, run: int) -> str | None:
    found = reader.run(str(run))
    return None if found is None else found.row.name


def _read(text: str) -> SpecFile:
    return parse_spec(text.encode("utf-8", "replace"), name=STDIN, folder=Path("/"))


def _document(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return {key: value for key, value in found.items() if key != "schema_version"} if isinstance(found, dict) else {}


def _problem(problem: Problem) -> Json:
    """A problem, with line and column where it has a place in the text."""
    parts = problem.where.removeprefix(f"{STDIN}:").split(":") if problem.where.startswith(f"{STDIN}:") else []
    is_placed = len(parts) == 2 and all(part.isdecimal() for part in parts)
    line, column = map(int, parts) if is_placed else (None, None)
    return {"what": problem.what, "fix": problem.fix, "where": problem.where, "line": line, "column": column}


def _said_badly(said: Said) -> Problem:
    """The words of a command that failed, as they are."""
    lines = [line.strip() for line in said.err.splitlines() if line.strip()]
    what = " ".join(line.removeprefix("error: ") for line in lines if not line.startswith("hint:"))[:2_000]
    hints = [line.removeprefix("hint: ") for line in lines if line.startswith("hint: ")]
    return Problem(what or f"the command ended with code {said.code}", hints[0] if hints else "passloop doctor")
