"""Runs an engine and its socket in this process: opens a home, joins everything, closes it in the right order.

It owns the home's lock and the store while it lives, and the composition: which drivers there are and which devices.
Used by the daemon, by foreground commands and by `passloop.open` alike.
"""

from __future__ import annotations

import asyncio
import errno
import os
import resource
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from passloop.apps.generate.file_tasks import FileTasks
from passloop.clock import Clock, SystemClock
from passloop.devices.locks import device_locks
from passloop.devices.opening import open_inventory
from passloop.drivers.base import Driver
from passloop.drivers.calls.driver import CallDriver
from passloop.drivers.descriptors import lacks_descriptor
from passloop.drivers.leases import LeaseDriver
from passloop.drivers.processes.driver import ProcessDriver
from passloop.drivers.workers.driver import WorkerDriver
from passloop.engine.attempts import Attempts
from passloop.engine.device_desk import DeviceDesk, holdings_of
from passloop.engine.drain import DownMode
from passloop.engine.engine import Engine
from passloop.engine.errors import EngineError, OutOfFiles
from passloop.engine.settings import EngineSettings
from passloop.store.database import Store
from passloop.store.errors import StoreOutOfFiles
from passloop.store.home import Home, HomeLock

from .app import make_app
from .expanders import app_callers, app_expanders
from .own_commands import OwnCommands
from .page import Page, open_page
from .serve import SocketServer

__all__ = ["EngineHost", "open_host"]

_URGENCY = {DownMode.DRAIN: 0, DownMode.NOW: 1, DownMode.LEAVE: 2}


class EngineHost:
    """An engine that runs in this process and may be told to go down.

    `declaring` is held from the look whether a dataset or a study has a run under way until it has one.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.page = Page(absent="the page is not served yet")
        self.files = FileTasks(engine, home=str(engine.home.path))
        self.declaring = asyncio.Lock()
        self._mode: DownMode | None = None
        self._going: asyncio.Task[None] | None = None
        self._gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def go_down(self, mode: DownMode) -> None:
        """Begin to go down; returns at once. A later call may be quicker (drain, now, leave), never slower."""
        if self._mode is not None and _URGENCY[mode] <= _URGENCY[self._mode]:
            return
        self._mode = mode
        self.engine.announce_end()
        if self._going is not None:
            self._going.cancel()
        self._going = asyncio.get_running_loop().create_task(self._go(mode), name="passloop-down")
        self._going.add_done_callback(self._went)

    async def wait_down(self) -> None:
        """Wait until the engine may be closed: it was told to go down and nothing is left to wait for.

        Raises what ended the engine, if it was an error.
        """
        ended = asyncio.ensure_future(self.engine.ended())
        try:
            await asyncio.wait({ended, self._gone}, return_when=asyncio.FIRST_COMPLETED)
            await (ended if ended.done() else self._gone)
        finally:
            ended.cancel()

    @property
    def is_down(self) -> bool:
        """Whether it was told to go down, and nothing is left to wait for."""
        return self._gone.done() and self._gone.exception() is None

    async def copy_store(self, error: type[BaseException] | None, *_: object) -> None:
        """Copy the store after a `down` that went well. Called once the engine has stopped, whose last turn commits: a
        copy that lacks it is refused where it is put back.
        """
        if error is None and self.is_down:
            await self.engine.backups.take()

    async def _go(self, mode: DownMode) -> None:
        if mode is not DownMode.LEAVE:
            await self.engine.drain(stop_running=mode is DownMode.NOW)

    def _went(self, going: asyncio.Task[None]) -> None:
        """Down we go. An engine that can write nothing cannot drain either: what runs is left to the next one."""
        if going.cancelled() or self._gone.done():
            return
        error = going.exception()
        if error is None or isinstance(error, EngineError):
            self._gone.set_result(None)
        else:
            self._gone.set_exception(error)


@asynccontextmanager
async def open_host(path: Path, settings: EngineSettings | None = None) -> AsyncIterator[EngineHost]:
    """An engine on the home at `path`, with its socket and the page served, for as long as the block lasts.

    At the end what still runs is left to the next engine, and after a `down` the store is copied. Raises
    `HomeRefused`, `HomeBusy`, `StoreDamaged`, `StoreTooNew`, `OutOfFiles`, and what a setting raises.
    """
    async with AsyncExitStack() as stack:
        try:
            host = await _opened(stack, Home(path), settings or EngineSettings())
        except OSError as error:
            if not lacks_descriptor(error):
                raise
            raise _out_of_files(path, error.errno) from error
        except StoreOutOfFiles as error:
            raise _out_of_files(path, error.number) from error
        yield host


async def _opened(stack: AsyncExitStack, home: Home, settings: EngineSettings) -> EngineHost:
    """The engine on this home, served; `stack` closes it in the right order."""
    home.prepare()
    stack.enter_context(HomeLock(home))
    home.make_runs()
    store = Store.open(home)
    stack.callback(store.close)
    engine = compose(store, settings)
    host = EngineHost(engine)
    stack.push_async_exit(host.copy_store)
    stack.push_async_callback(engine.stop)
    await engine.start()
    await host.files.start()
    stack.push_async_callback(host.files.stop)
    app = make_app(host)
    server = SocketServer(app, home.socket)
    await server.start()
    stack.push_async_callback(server.stop)
    host.page = await open_page(app, home, engine.clock, engine.settings.environ.get("PASSLOOP_PAGE", "auto"))
    stack.push_async_callback(host.page.stop)
    stack.callback(engine.hang_up)
    stack.callback(server.hide)
    app.state.commands = OwnCommands(engine)
    await app.state.commands.follow_again()
    return host


def _out_of_files(path: Path, number: int | None) -> OutOfFiles:
    """What still runs is left to the next engine: nothing of it was judged without being looked at."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    told = f" (this process may have {soft:,}, or {hard:,} if it asks)" if number == errno.EMFILE else ""
    why = os.strerror(number or errno.EMFILE)
    what = f"the engine of {path} can open no more files than it has{told}: {why}; what runs goes on"
    return OutOfFiles(what, hint="passloop doctor, which tells where to raise the limit")


def compose(store: Store, settings: EngineSettings, clock: Clock | None = None) -> Engine:
    """Join the parts of an engine: its drivers and devices, by the settings, and who writes out the apps' sources."""
    clock = clock or SystemClock(not_before=store.last_now)
    attempts = Attempts()
    desk = open_desk(store, settings, attempts, clock)
    processes = ProcessDriver(store.home.path, inherit_fds=desk.descriptors, open_files=settings.open_files)
    workers = WorkerDriver(store.home.path, inherit_fds=desk.descriptors, open_files=settings.open_files)
    leases = LeaseDriver()
    calls = CallDriver(clock)
    drivers: dict[str, Driver] = {one.name: one for one in (processes, workers, leases, calls)}
    engine = Engine(store, clock, drivers, desk=desk, attempts=attempts, settings=settings)
    for kind, expander in app_expanders().items():
        engine.expansions.register(kind, expander)
    for caller_name, caller in app_callers(engine.reading).items():
        calls.register(caller_name, caller)
    return engine


def open_desk(store: Store, settings: EngineSettings, attempts: Attempts, clock: Clock) -> DeviceDesk:
    """The way to this box's devices. Raises `BadDeviceSetting`, `UnknownDevice`, `LockFolderRefused`."""
    desk: list[DeviceDesk] = []
    inventory = open_inventory(
        settings.environ,
        home_id=store.home_id,
        holdings=lambda: desk[0].holdings() if desk else holdings_of(attempts.rows()),
    )
    locks = device_locks(store.home_id, settings.environ, virtual=inventory.virtual)
    desk.append(DeviceDesk(inventory, locks, attempts=attempts, clock=clock))
    return desk[0]
