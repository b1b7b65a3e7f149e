"""What people do to tasks: cancel, retry, hold, release, priority, rm; and to groups. Each answers what it changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated

from fastapi import APIRouter, Path
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from passloop.apps.queue.kept_results import WHY_LEFT, KeptResults, is_named
from passloop.apps.queue.selectors import parse_selectors
from passloop.apps.queue.views import document
from passloop.apps.text import check_group
from passloop.engine.engine import Engine
from passloop.engine.removal import remove
from passloop.engine.retrying import retry
from passloop.kernel.changes import TasksAnswer
from passloop.kernel.events import (
    Cancelled,
    Event,
    GroupHeld,
    GroupReleased,
    Held,
    Released,
    Reprioritised,
    SourceRetried,
)
from passloop.kernel.ids import RunId, TaskId
from passloop.kernel.source_rows import SourceState
from passloop.kernel.tasks import FINAL_STATES, TaskState
from passloop.web import read_models
from passloop.web.port import EngineHere, HostHere, ending, json_reply

__all__ = ["router"]

router = APIRouter(tags=["actions"])
Priority = Annotated[int, Field(ge=-1_000_000_000, le=1_000_000_000)]
Wish = Callable[[tuple[TaskId, ...], tuple[RunId, ...]], Event]
Words = Annotated[list[str], Field(min_length=1, max_length=100_000)]


class Chosen(BaseModel):
    """Tasks by selectors."""

    model_config = ConfigDict(extra="forbid")
    select: Words


class Cancelling(Chosen):
    """Tasks to cancel, and what to say about it."""

    reason: Annotated[str, Field(max_length=500)] = "cancelled by user"


class Reordering(Chosen):
    """Tasks and their new priority; higher goes first."""

    priority: Priority


class Removing(Chosen):
    """Tasks to forget. Of what datasets and studies go on from, what is named by id or run; with `answers` all."""

    answers: bool = False


@router.post("/tasks/cancel")
async def cancel(engine: EngineHere, body: Cancelling) -> Response:
    """End tasks for good: at once what waits, after its grace what runs."""
    reason = body.reason.strip() or "cancelled by user"
    return await _act(engine, body.select, lambda tasks, runs: Cancelled(tasks=tasks, reason=reason, sources=runs))


@router.post("/tasks/hold")
async def hold(engine: EngineHere, body: Chosen) -> Response:
    """Keep tasks from starting; what runs goes on."""
    return await _act(engine, body.select, lambda tasks, runs: Held(tasks=tasks, sources=runs))


@router.post("/tasks/release")
async def release(engine: EngineHere, body: Chosen) -> Response:
    """Let held tasks go on to the state they would have now."""
    return await _act(engine, body.select, lambda tasks, runs: Released(tasks=tasks, sources=runs))


@router.post("/tasks/priority")
async def reprioritise(engine: EngineHere, body: Reordering) -> Response:
    """Give tasks another priority."""
    return await _act(
        engine, body.select, lambda tasks, runs: Reprioritised(tasks=tasks, priority=body.priority, sources=runs)
    )


@router.post("/tasks/retry")
async def retry_tasks(host: HostHere, body: Chosen) -> Response:
    """Make new tasks of those that ended badly, and of the dependents they had aborted; failed sources go on, and files
    of datasets are written again.

    The tasks come first, so that an expander that gave up because of their ends finds them live again. If that ends
    early (a disk is full), those that were made are still to be in their files.
    """
    engine = host.engine
    tasks, sources = await engine.read(lambda reader: read_models.select_whole(reader, body.select))
    failed = tuple(source.run for source in sources if source.state is SourceState.FAILED)
    runs: set[RunId] = set()
    try:
        done = await retry(engine, tasks, note=runs.add)
        await host.files.again(done.created)
    except BaseException:
        for run in runs:
            host.files.follow(run, again=True)
        raise
    for run in failed:
        await engine.send(SourceRetried(run))
        host.files.follow(run)
    answer = TasksAnswer(done.changed, done.unchanged, failed)
    return json_reply(_document(answer) | {"created": list(done.created)} | ending(engine))


@router.post("/tasks/rm")
async def remove_tasks(engine: EngineHere, body: Removing) -> Response:
    """Forget final tasks with their logs and results; `answers` says how many of them datasets or studies used."""
    tasks = await engine.read(lambda reader: read_models.select(reader, body.select))
    kept = await engine.read(lambda reader: KeptResults.among(tasks, reader))
    is_asked = body.answers or is_named(parse_selectors(body.select))
    answer = await remove(engine, tasks, spared={} if is_asked else dict.fromkeys(kept.tasks, WHY_LEFT))
    lost = len(kept.results.intersection(answer.changed))
    return json_reply(_document(answer) | ({"answers": lost} if lost else {}))


@router.post("/groups/{name:path}/hold")
async def hold_group(engine: EngineHere, name: Annotated[str, Path(max_length=200)]) -> Response:
    """Hold a group: its tasks, and those it gets later."""
    check_group(name)
    return json_reply(_document(await engine.send(GroupHeld(group=name))))


@router.post("/groups/{name:path}/release")
async def release_group(engine: EngineHere, name: Annotated[str, Path(max_length=200)]) -> Response:
    """Release a group and the tasks held in it."""
    check_group(name)
    return json_reply(_document(await engine.send(GroupReleased(group=name))) | ending(engine))


async def _act(engine: Engine, words: Sequence[str], event_of: Wish) -> Response:
    """Do what is wished to the tasks chosen, and to the sources of runs that are named whole."""
    tasks, sources = await engine.read(lambda reader: read_models.select_whole(reader, words))
    runs = tuple(source.run for source in sources)
    answer = await engine.send(event_of(tuple(tasks), runs)) if tasks or runs else TasksAnswer(())
    return json_reply(_document(await _with_states(engine, answer)) | ending(engine))


async def _with_states(engine: Engine, answer: TasksAnswer) -> TasksAnswer:
    """The machine forgets final tasks; the store knows how they ended."""
    left = [task for task, _ in answer.unchanged]
    states = await engine.states_of(left) if left else {}
    unchanged = tuple((task, _reason(states.get(task), reason)) for task, reason in answer.unchanged)
    return TasksAnswer(answer.changed, unchanged, answer.sources)


def _reason(state: TaskState | None, reason: str) -> str:
    if state not in FINAL_STATES:
        return reason
    return f"it {'has' if state in (TaskState.SUCCEEDED, TaskState.FAILED) else 'is'} {state} already"


def _document(answer: TasksAnswer) -> dict[str, object]:
    return document(
        changed=list(answer.changed),
        unchanged=[{"task": task, "reason": reason} for task, reason in answer.unchanged],
        **({"sources": list(answer.sources)} if answer.sources else {}),
    )
