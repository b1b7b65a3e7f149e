"""A command that is the engine itself, because there is none: the engine in the main thread, its own work beside it.

The work (submit, follow) is a client of the socket like any other, in a thread of its own. Ctrl-C once drains, twice
cancels the own tasks. Work of others that remains goes to a daemon.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from passloop.cli import streams
from passloop.cli.client import Client, EngineLost
from passloop.cli.exits import CliError, Exit
from passloop.cli.launching import start_daemon
from passloop.cli.next_engine import once_free
from passloop.cli.open_files import all_open_files
from passloop.cli.serving import make_fit, settings_errors
from passloop.cli.wording import FINAL, ids_text
from passloop.engine.drain import DownMode
from passloop.engine.settings import EngineSettings
from passloop.kernel.events import Cancelled
from passloop.kernel.ids import RunId, TaskId
from passloop.store.home import Home
from passloop.store.reader import Reader
from passloop.web.host import EngineHost, open_host

__all__ = ["Foreground", "Own", "Work", "be_engine_or_follow"]


@dataclass(slots=True)
class Own:
    """The tasks that this command submitted; empty until they are stored. `run` is one whose tasks come of a source."""

    tasks: list[int] = field(default_factory=list)
    run: int | None = None

    def note_run(self, run: int) -> None:
        """The run is stored; a cancel means all that comes of it."""
        self.run = run


Work = Callable[[Client, Own], int]
"""Submits, notes its tasks in `Own`, follows them and returns the exit code."""
Result = TypeVar("Result")


def be_engine_or_follow(
    home: str,
    environment: dict[str, str],
    work: Callable[[Client, Own], Result],
    follow: Callable[[Client], Result | None],
    *,
    detach: bool,
) -> Result | None:
    """What `work` gives in a foreground engine; if another process became the engine meanwhile, what `follow` gives
    there. None if it was interrupted.
    """
    ended: list[Result] = []

    def whole(client: Client, own: Own) -> int:
        ended.append(work(client, own))
        return int(Exit.OK)  # the code of the command is that of its result

    code = once_free(home, Foreground(home, environment, whole, detach=detach).run)
    if code is None:
        return follow(Client(home))
    return ended[0] if ended else None


class Foreground:
    """An engine for one piece of work."""

    def __init__(self, home: str, environment: dict[str, str], work: Work, *, detach: bool) -> None:
        self._home = home
        self._environment = environment
        self._work = work
        self._detach = detach
        self._own = Own()
        self._interrupts = 0
        self._hand_over = False
        self._is_done = False
        self._own_is_over = False
        self._is_unread = False

    def run(self) -> int:
        """Be the engine until the work is done. Raises `HomeBusy` if another process became it first."""
        try:
            with settings_errors(), all_open_files() as before:
                return asyncio.run(self._serve(EngineSettings(environ=self._environment, open_files=before)))
        finally:
            if self._hand_over or (self._is_done and self._leaves_work()):
                start_daemon(self._home, self._environment)
                streams.say(self._handed_over())

    def _leaves_work(self) -> bool:
        """Whether tasks remain for which there is no engine now. Only once it is closed nothing more is handed in."""
        with Reader.open(Home(Path(self._home))) as reader:
            return any(number and state not in FINAL for state, number in reader.counts().items())

    def _handed_over(self) -> str:
        if not self._is_unread:
            return "other work remains: a daemon goes on with it (passloop status)"
        which = f"@{self._own.run}" if self._own.run is not None else ids_text(self._own.tasks)
        what = "run" if self._own.run is not None else "task" if len(self._own.tasks) == 1 else "tasks"
        goes_on = f"a daemon goes on with {what} {which}, passloop cancel {which} ends it"
        return f"nobody reads this any more: {goes_on}"

    async def _serve(self, settings: EngineSettings) -> int:
        make_fit()
        async with open_host(Path(self._home), settings) as host:
            self._take_signals(host)
            loop = asyncio.get_running_loop()
            thread = ThreadPoolExecutor(1, thread_name_prefix="passloop-own-work")
            work = loop.run_in_executor(thread, self._work, Client(self._home), self._own)
            down = asyncio.ensure_future(host.wait_down())
            waits: set[asyncio.Future[Any]] = {work, down}
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            if work.done() or await self._own_ended(host):
                await asyncio.wait({work})
                self._own_is_over = await self._own_ended(host)
                self._is_done = True
            down.cancel()
        return await self._result(work)

    async def _result(self, work: asyncio.Future[int]) -> int:
        """The work's exit code; when the engine went first, what became of the work."""
        try:
            return await work
        except BrokenPipeError:
            streams.silence()
            self._is_unread = not self._own_is_over
            raise
        except EngineLost as ended:
            if self._own.run is None and not self._own.tasks:
                raise CliError(ended.message, hint=ended.hint, exit_code=Exit.INTERRUPTED) from None
            self._say_left()
            return int(Exit.INTERRUPTED)

    def _say_left(self) -> None:
        if self._own.run is not None:
            streams.say(f"run {self._own.run} is kept: passloop up goes on with it, or the same command")
        if self._own.tasks:
            ids = ids_text(self._own.tasks)
            one = len(self._own.tasks) == 1
            kept, it = ("task {} is kept", "it") if one else ("tasks {} are kept", "them")
            look = f"passloop logs {ids} shows it" if one else f"passloop ls {ids} lists them"
            streams.say(f"{kept.format(ids)}: passloop up goes on with {it}, {look}")

    async def _own_ended(self, host: EngineHost) -> bool:
        """Whether the own tasks are final, so that the work is about to say so."""
        ids = list(self._own.tasks)
        if not ids:
            return False
        states = await asyncio.to_thread(host.engine.store.states_of, ids)
        return all(states.get(TaskId(task)) in FINAL for task in ids)

    def _take_signals(self, host: EngineHost) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self._on_interrupt, host)
        loop.add_signal_handler(signal.SIGTERM, host.go_down, DownMode.LEAVE)
        loop.add_signal_handler(signal.SIGHUP, self._on_hangup, host)

    def _on_interrupt(self, host: EngineHost) -> None:
        self._interrupts += 1
        if self._interrupts == 1 and self._detach:
            host.go_down(DownMode.LEAVE)
        elif self._interrupts == 1:
            streams.say("\nnothing new starts; waiting for what runs (Ctrl-C again cancels it)")
            host.go_down(DownMode.DRAIN)
        elif self._interrupts == 2:
            streams.say("\ncancelling")
            own = tuple(TaskId(task) for task in self._own.tasks)
            runs = () if self._own.run is None else (RunId(self._own.run),)
            self._cancelling = asyncio.ensure_future(host.engine.send(Cancelled(tasks=own, sources=runs)))
        else:
            streams.say("\nleaving; what runs is ended by the next engine")
            host.go_down(DownMode.LEAVE)

    def _on_hangup(self, host: EngineHost) -> None:
        """The terminal is gone; its work is not: a daemon takes over."""
        self._hand_over = True
        streams.leave_terminal()
        host.go_down(DownMode.LEAVE)
