"""Specs that are handed in as text: what is wrong with them, what they would do, and the runs that they become.

What a spec means is said by the command line; here its words become documents, and its new run is found.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from passloop.apps.errors import Problem, SpecError
from passloop.apps.queue.views import Json, document
from passloop.apps.spec_file import SpecFile, parse_spec
from passloop.engine.engine import Engine
from passloop.engine.errors import NotFound
from passloop.store.reader import Reader
from passloop.web.own_commands import OwnCommands, Said, StartedCommand

__all__ = ["VERBS", "hand_in", "plan", "schema"]

STDIN = "-"
VERBS = {"run": "submit", "bench": "bench", "tune": "tune", "generate": "generate"}
KINDS = (*VERBS, "wire")
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
    run = await _new_run(engine, name, started, after=before)
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


async def _new_run(engine: Engine, name: str, started: StartedCommand, *, after: int) -> Json | None:
    """The run that a follower declares. One that ended without any found all that it wanted in the newest run of this
    name. None if there is none, or if the follower is still at work: then an earlier run is not its own.
    """
    looking = asyncio.ensure_future(_declared(engine, name, after))
    joining = asyncio.ensure_future(started.joined())
    try:
        waited = {looking, joining, started.ended}
        await asyncio.wait(waited, timeout=RUN_WITHIN, return_when=asyncio.FIRST_COMPLETED)
        if looking.done():
            return looking.result()
        if joining.done():
            return {"id": joining.result(), "name": name}
    finally:
        looking.cancel()
        joining.cancel()
    if not started.ended.done():
        return None
    if started.ended.result() not in (0, 1):
        raise SpecError([_said_badly(Said(started.ended.result(), "", started.said()))])
    found = await engine.read(lambda reader: reader.run(name))
    return None if found is None else {"id": found.row.id, "name": found.row.name}


async def _declared(engine: Engine, name: str, after: int) -> Json | None:
    async for rows in engine.journal_events(after):
        for run in (run for row in rows for run in range(row.first_run, row.next_run)):
            if await engine.read(lambda reader, run=run: _name(reader, run)) == name:  # type: ignore[misc]
                return {"id": run, "name": name}
    return None


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
