"""`passloop.open` and what it gives: the engine of a home as an object, embedded in this process or elsewhere alike."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import TypedDict, Unpack

from .commands import Command, Shared, submission_of_commands
from .door import Door, home_path
from .errors import told
from .records import Gpus, Json, Pools, Tasks, gpu_of, pool_of, task_of
from .run import Run

__all__ = ["Engine", "Submitting", "open"]

After = int | Run


@asynccontextmanager
async def open(home: str | os.PathLike[str] | None = None, *, virtual_gpus: str | None = None) -> AsyncIterator[Engine]:
    """The engine of `home` (default: PASSLOOP_HOME, else your own): the one that runs, or one in this process.

    An engine in this process works while the block lasts and its loop is free; at the end what still runs goes on and
    is found again by the next engine. A client whose engine goes away becomes the engine itself with its next request.
    `virtual_gpus` ("4x80GiB") pretends GPUs, for an engine in this process only. Raises `PassloopError`.
    """
    door = Door(home_path(home), virtual_gpus=virtual_gpus)
    await door.open()
    try:
        yield Engine(door)
    finally:
        await door.close()


class Submitting(TypedDict, total=False):
    """What can be said of a submission. Its tasks start when those in `after` have succeeded and those in `after_any`
    have ended (task ids or runs); higher `priority` goes first; `held` tasks wait for `passloop release`.
    """

    name: str
    group: str
    priority: int
    after: Sequence[After]
    after_any: Sequence[After]
    held: bool


class Engine:
    """Submits work and looks at it. Every method asks the engine; what it answers is durable."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self.home = door.path

    @property
    def embedded(self) -> bool:
        """Whether the engine runs in this process."""
        return self._door.embedded

    async def submit(self, work: Command | Iterable[Command], **said: Unpack[Submitting]) -> Run:
        """Store a command, or several as one run, all or nothing; `Submitting` has what can be said of them together.

        Raises `NeverFits`, `PassloopError`, and `EngineGone` if the answer was lost.
        """
        commands = [work] if isinstance(work, Command) else list(work)
        shared = Shared(
            name=said.get("name"),
            group=said.get("group", "default"),
            priority=said.get("priority", 0),
            after=_ids(said.get("after", ())),
            after_any=_ids(said.get("after_any", ())),
            held=said.get("held", False),
        )
        answer = await self._door.post_bytes("/submit", _body(commands, shared))
        return Run(self._door, answer["run"]["id"], answer["run"]["name"], answer["tasks"], existing=answer["existing"])

    async def run(self, run: int | str) -> Run:
        """An earlier run, by id, or the newest of a name."""
        found = (await self._door.get("/tasks", [("select", f"@{run}")]))["tasks"]
        view = (await self._door.get(f"/runs/{_quoted(str(run))}"))["run"]
        return Run(self._door, view["id"], view["name"], [task["id"] for task in found])

    async def tasks(self, *selectors: str | int, limit: int | None = None) -> Tasks:
        """The tasks selected ("12-40", "@digits", "state:failed", ...), all if none is; the newest `limit` of them."""
        query: list[tuple[str, str | int]] = [("select", str(word)) for word in selectors]
        if limit is not None:
            query.append(("limit", limit))
        return Tasks(task_of(view) for view in (await self._door.get("/tasks", query))["tasks"])

    async def cancel(self, *selectors: str | int, reason: str = "cancelled by user") -> tuple[int, ...]:
        """End the tasks selected; returns which of them were not final yet."""
        body = {"select": [str(word) for word in selectors], "reason": reason}
        return tuple((await self._door.post("/tasks/cancel", body, repeatable=True))["changed"])

    async def why(self, task: int) -> tuple[str, ...]:
        """Why a task does not run, one sentence per reason; empty when it runs or has ended."""
        return tuple(one["sentence"] for one in (await self._door.get(f"/tasks/{task}/why"))["blockers"])

    async def gpus(self) -> Gpus:
        """Every GPU, in CUDA's order."""
        return Gpus(gpu_of(view) for view in (await self._door.get("/gpus"))["gpus"])

    async def pools(self) -> Pools:
        """Every pool, by name: how much is used, whether it is closed and until when."""
        return Pools(pool_of(view) for view in (await self._door.get("/pools"))["pools"])

    async def status(self) -> Json:
        """The engine itself, as `passloop status --json` has it."""
        about: Json = (await self._door.get("/status"))["engine"]
        return about


def _body(commands: Sequence[Command], shared: Shared) -> bytes:
    from passloop.apps.queue.options import Place
    from passloop.apps.queue.wire import encode_submission

    place = Place(cwd=os.getcwd(), environment=os.environ)
    with told():
        return encode_submission(submission_of_commands(commands, shared, place))


def _ids(after: Sequence[After]) -> tuple[int, ...]:
    return tuple(task for one in after for task in (one.task_ids if isinstance(one, Run) else (one,)))


def _quoted(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe="")
