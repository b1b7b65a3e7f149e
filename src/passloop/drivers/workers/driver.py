"""The driver for calls on warm workers. Each worker is an attempt of a process driver of its own, in `workers/` of the
home: so it has a shim, its tree dies with it, and it outlives the engine. Cells go to it over a socket.

An attempt's end is told with `parked` if its worker lives on, and else only when that is proven gone. Must never give
a cell to a worker twice, nor call a worker gone before its shim does.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any

from passloop.crashpoints import crashpoint
from passloop.drivers import descriptors
from passloop.drivers.background import Background, to_the_loop
from passloop.drivers.base import Fail, Launch, LiveAttempt, LiveWorker, Report
from passloop.drivers.forbidden import Forbidden
from passloop.drivers.processes.driver import LockFds, ProcessDriver
from passloop.drivers.processes.keeper.commands import PASSING
from passloop.drivers.processes.keeper.records import NO_ROOM
from passloop.kernel.events import Event, Exited, PauseChanged, Started, StrayGone, WorkerGone, WorkerGrew
from passloop.kernel.ids import AttemptId
from passloop.kernel.resources import Allocation
from passloop.kernel.tasks import Outcome, OutcomeKind

from .endings import Ending, halted, look_at, outcome_after, said_outcome
from .finding import found_workers, worker_named_by
from .leftovers import remove_blank
from .orders import cell_message, worker_launch, worker_name
from .pool import Channel, Hold, Life, Order, listen_at
from .protocol import DOOR, SOCKET

__all__ = ["WorkerDriver"]

EVICTION_GRACE = 5_000
"""How long in ms an idle worker gets to end politely."""

STOPPED_WORKER = Outcome(OutcomeKind.LOST, message="its worker had ended", engine_lost=True)
_UNKNOWN_ENDS_WITHIN = 30.0


def _no_fds(_allocation: Allocation) -> Sequence[int]:
    return ()


def _seen_of(order: Order) -> Ending:
    """What can be seen now of a cell that is not known to have begun. If it surely has not, it never will."""
    try:
        return look_at(order)
    except OSError:
        return Ending(begun=True, unsure=True)


async def _looked_at(order: Order) -> Ending:
    """How an attempt ended by its records; they are tried again while no descriptor is left to read them with."""
    return await descriptors.patiently(lambda: asyncio.to_thread(look_at, order))


class WorkerDriver:
    """Runs calls on Python workers that stay. `home` is the engine's; nothing is made in it before it is needed.

    `inherit_fds` and `open_files` are as for processes.
    """

    name = "workers"

    def __init__(
        self, home: Path, *, inherit_fds: LockFds = _no_fds, open_files: int | None = None, name: str = "workers"
    ) -> None:
        self.name = name
        self._home = home / "workers"
        self._processes = ProcessDriver(self._home, inherit_fds=inherit_fds, open_files=open_files)
        self._folder = -1
        self._door: asyncio.Server | None = None
        self._opening: asyncio.Task[None] | None = None
        self._leaving = asyncio.Event()
        self._waiting: list[Callable[[], None]] = []
        self._holds: dict[AttemptId, Hold] = {}
        self._of: dict[AttemptId, Hold] = {}
        self._channels: set[Channel] = set()
        self._forbidden = Forbidden()
        self._background = Background()
        self._were_found = False
        self._counts = dict.fromkeys(("launched", "ended", "workers"), 0)

    async def start(self, report: Report, *, failed: Fail = to_the_loop) -> None:
        """Report to `report` from now on. What workers stand on is opened with the first of them."""
        self._report = report
        self._background.failed = failed

    async def stop(self) -> None:
        """Stop watching. Busy workers go on; idle ones are told to end."""
        self._leaving.set()
        if self._opening is not None:
            await asyncio.wait([self._opening])
        for hold in self._holds.values():
            if hold.alive and not hold.orders:
                self._processes.halt(hold.worker, 1, grace=EVICTION_GRACE, reason="down")
        await self._background.stop()
        for channel in list(self._channels):
            channel.close()
        if self._door is not None:
            self._door.close()
            self._door = None
            await self._close_up()

    def launch(self, order: Launch) -> None:
        """Give a cell to its worker, or to a new one."""
        forbidden = self._forbidden.outcome(order.attempt)
        if forbidden is not None:
            self._report(Exited(order.attempt, order.epoch, forbidden))
            return
        hold = None if order.worker is None else self._holds.get(order.worker)
        if order.worker is not None and (hold is None or hold.ended is not None):
            self._report(Exited(order.attempt, order.epoch, STOPPED_WORKER))
            return
        try:
            message = cell_message(order, short=hold is not None and bool(hold.orders))
            hold = self._new_worker(order) if hold is None else hold
        except ValueError as error:
            outcome = Outcome(OutcomeKind.FAILURE, exit_code=126, message=str(error), final=True)
            self._report(Exited(order.attempt, order.epoch, outcome, parked=hold.parked() if hold else None))
            return
        if order.allocation.amounts or order.allocation.devices:
            hold.allocation = order.allocation
        self._counts["launched"] += 1
        cell = Order.of_launch(order)
        cell.message = message
        self._of[order.attempt] = hold
        hold.send(cell)

    def _new_worker(self, order: Launch) -> Hold:
        directory = self._home / str(order.attempt)
        launch = worker_launch(order, directory)
        hold = Hold(order.attempt, worker_name(order), directory, order.allocation)
        self._holds[hold.worker] = hold
        self._counts["workers"] += 1
        self._when_open(lambda: self._processes.launch(launch))
        return hold

    def halt(self, attempt: AttemptId, epoch: int, *, grace: int, reason: str) -> None:
        """Forbid a cell that has not begun; end the worker of one that has, unless it is only called back."""
        hold = self._of.get(attempt)
        if hold is None:
            self._forbidden.add(attempt, reason)
            return
        order = hold.orders[attempt]
        waits_behind = next(iter(hold.orders)) != attempt
        ending = _seen_of(order) if hold.alive and not order.started else Ending(begun=True)
        if ending.unsure and (waits_behind or reason == "recall"):  # others must not suffer for what may not have begun
            self._background.spawn(self._halt_later(attempt, epoch, grace, reason))
        elif not ending.begun and not ending.unsure:
            self._tell_end(hold, order, halted(reason), kept=True)
        elif reason == "recall":
            self._begin(hold, order)
        else:
            hold.halted = hold.halted or (attempt, reason)
            self._end_worker(hold, grace, reason)

    async def _halt_later(self, attempt: AttemptId, epoch: int, grace: int, reason: str) -> None:
        """Halt it when it may be sure whether it has begun."""
        await asyncio.sleep(descriptors.AGAIN_S)
        if attempt in self._of:
            self.halt(attempt, epoch, grace=grace, reason=reason)

    def evict(self, worker: AttemptId) -> None:
        """End a parked worker."""
        hold = self._holds.get(worker)
        if hold is None:
            self._report(WorkerGone(worker))
        else:
            self._end_worker(hold, EVICTION_GRACE, "cancelled")

    def _end_worker(self, hold: Hold, grace: int, reason: str) -> None:
        hold.life = Life.ENDING
        self._when_open(lambda: self._processes.halt(hold.worker, 1, grace=grace, reason=reason))

    async def reattach_workers(self, workers: Sequence[LiveWorker]) -> None:
        """Find the workers that are there, end those that nobody knows, and say which are gone."""
        if workers or self._home.exists():
            await self._find()
        known = {one.worker: one for one in workers}
        unknown = [hold for hold in self._holds.values() if hold.worker not in known]
        for hold in unknown:
            crashpoint("before_evict")
            self._end_worker(hold, 0, "down")
            crashpoint("after_evict")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_UNKNOWN_ENDS_WITHIN):
                await asyncio.gather(*(hold.gone.wait() for hold in unknown))
        for one in workers:
            if one.lying and (one.evicted or one.worker not in self._holds):
                crashpoint("before_evict")
                self.evict(one.worker)
                crashpoint("after_evict")

    async def reattach(self, attempts: Sequence[LiveAttempt]) -> None:
        """Settle each attempt by its records and its worker."""
        await self._find()
        for live in attempts:
            order = Order.of_live(live)
            hold = self._holds.get(live.worker or worker_named_by(live))
            if live.state == "stray":
                self._reattach_stray(hold, order)
                continue
            if hold is None:
                lost = Hold(live.attempt, "", live.directory, live.allocation, life=Life.GONE, came_up=True)
                ending = await asyncio.to_thread(look_at, order)
                self._tell_end(lost, order, outcome_after(lost, order, ending), kept=False)
                continue
            if live.allocation.amounts or live.allocation.devices:
                hold.allocation = live.allocation
            self._of[order.attempt] = hold
            hold.orders[order.attempt] = order  # before the look: what its worker says meanwhile is heard
            ending = await asyncio.to_thread(look_at, order)
            if order.attempt in hold.orders:
                self._take_up(hold, order, ending)

    def _take_up(self, hold: Hold, order: Order, ending: Ending) -> None:
        """An attempt of an earlier engine, whose worker is there, or ended and not yet said to be gone."""
        if hold.ended is not None:
            self._background.spawn(self._bury_late(hold))
        elif not ending.begun and not ending.unsure and hold.alive:
            self._tell_end(hold, order, outcome_after(hold, order, ending), kept=True)
        elif ending.outcome is not None and ending.kept and hold.alive:
            self._tell_end(hold, order, ending.outcome, kept=True)
        else:
            if ending.begun and not ending.unsure:
                self._begin(hold, order)
            if hold.channel is not None:  # it may have greeted before this one was known
                self._background.spawn(self._settle(hold, order))
            elif ending.unsure:
                self._background.spawn(self._take_up_later(hold, order))

    async def _take_up_later(self, hold: Hold, order: Order) -> None:
        """Look again at an attempt of which the records could be neither read nor made."""
        await asyncio.sleep(descriptors.AGAIN_S)
        ending = await _looked_at(order)
        if order.attempt in hold.orders:
            self._take_up(hold, order, ending)

    def _reattach_stray(self, hold: Hold | None, order: Order) -> None:
        if hold is None:
            self._report(StrayGone(order.attempt, order.epoch))
        else:
            hold.stray = order

    def statistics(self) -> Mapping[str, int]:
        """Counts since the start; `watched` attempts and `alive` workers now."""
        alive = sum(hold.alive for hold in self._holds.values())
        return self._counts | {"watched": len(self._of), "alive": alive}

    async def _find(self) -> None:
        """Take up the workers whose folders are there, once."""
        await self._open_once()
        if self._were_found:
            return
        self._were_found = True
        lives = [live for live in await asyncio.to_thread(found_workers, self._home) if live.attempt not in self._holds]
        for live in lives:
            hold = Hold(live.attempt, live.name, live.directory, live.allocation, life=Life.UP, came_up=True)
            self._holds[live.attempt] = hold
        await self._processes.reattach(lives)
        for live in lives:
            if live.attempt in self._holds:
                self._background.spawn(self._connect(self._holds[live.attempt]))

    async def _connect(self, hold: Hold) -> None:
        """Call at a worker's own socket. One that does not listen yet will come to the door."""
        path = f"/proc/self/fd/{self._folder}/{hold.worker}/{SOCKET}"
        with contextlib.suppress(OSError):
            await asyncio.get_running_loop().create_unix_connection(self._channel, path)

    def _channel(self) -> Channel:
        channel = Channel(self._hear, self._channels.discard)
        self._channels.add(channel)
        return channel

    def _when_open(self, act: Callable[[], None]) -> None:
        """Do it as soon as the process driver runs, in order."""
        if self._door is not None:
            act()
            return
        self._waiting.append(act)
        self._begin_to_open(self._open_patiently)

    async def _open_once(self) -> None:
        """For the start of an engine, which is told of a want at once."""
        await self._begin_to_open(self._open)

    def _begin_to_open(self, way: Callable[[], Coroutine[Any, Any, None]]) -> asyncio.Task[None]:
        if self._opening is None:
            self._opening = asyncio.get_running_loop().create_task(way())
            self._opening.add_done_callback(self._opened)
        return self._opening

    async def _open_patiently(self) -> None:
        """Make what workers stand on. What waits for it goes on waiting while a want that passes keeps it back."""
        while True:
            try:
                return await self._open()
            except OSError as error:
                if error.errno not in PASSING or self._leaving.is_set():
                    raise
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(descriptors.AGAIN_S):
                    await self._leaving.wait()

    async def _open(self) -> None:
        """Make what workers stand on, or leave nothing of it."""
        try:
            self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
            await self._processes.start(self._hear_processes, failed=self._background.failed)
            self._folder = os.open(self._home, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            (self._home / DOOR).unlink(missing_ok=True)
            self._door = await listen_at(f"/proc/self/fd/{self._folder}/{DOOR}", self._channel)
        except BaseException:
            await self._close_up()
            raise

    async def _close_up(self) -> None:
        await self._processes.stop()
        if self._folder >= 0:
            os.close(self._folder)
            self._folder = -1

    def _opened(self, opening: asyncio.Task[None]) -> None:
        """Do what waited for it. If it could not be opened, what waits ends, and the next worker tries again."""
        waiting, self._waiting = self._waiting, []
        error = None if opening.cancelled() else opening.exception()
        if error is None:
            for act in waiting:
                act()
            return
        self._opening = None
        number = error.errno if isinstance(error, OSError) else None
        is_full = number in NO_ROOM
        if is_full:
            self._report(PauseChanged(paused=True, reason=f"disk full: no room for workers in {self._home}"))
        again = descriptors.WANTED_AGAIN_MS if number in PASSING else None
        passes = is_full or again is not None
        message = f"no worker can be started: {error}"
        lost = Outcome(OutcomeKind.LOST, message=message, engine_lost=passes, retry_after=again)
        for hold in list(self._holds.values()):
            for order in list(hold.orders.values()):
                self._tell_end(hold, order, lost, kept=False)
            self._gone(hold)

    def _hear(self, channel: Channel, message: dict[str, Any]) -> None:
        """A worker says something."""
        if "worker" in message:
            self._greet(channel, message)
            return
        hold = channel.hold
        number = message.get("started") or message.get("exited") or message.get("taken")
        order = hold.orders.get(AttemptId(number)) if hold is not None and number is not None else None
        if hold is None or order is None:
            return
        if "started" in message:
            self._begin(hold, order)
        elif "exited" in message:
            self._hear_end(hold, order, message)
        else:
            self._background.spawn(self._settle(hold, order))

    def _greet(self, channel: Channel, message: dict[str, Any]) -> None:
        hold = self._holds.get(message["worker"])
        if hold is None or hold.channel is not None:
            channel.close()
            return
        channel.hold = hold
        hold.process = json.dumps(message["shim"])
        hold.came_up = True
        if hold.life is Life.STARTING:
            hold.life = Life.UP
        for order in list(hold.orders.values()):
            if order.started or not order.message:
                self._background.spawn(self._settle(hold, order))
        hold.connect(channel)

    async def _settle(self, hold: Hold, order: Order) -> None:
        """Find out by its records what became of an attempt that its worker is done with: that ran all it had heard of
        before it greeted, and forgot the rest.
        """
        ending = await _looked_at(order)
        if order.attempt not in hold.orders:
            return
        if ending.outcome is not None:
            self._begin(hold, order)
            self._end(hold, order, ending.outcome, kept=ending.kept)
        elif hold.alive:
            self._tell_end(hold, order, outcome_after(hold, order, ending), kept=True)

    def _begin(self, hold: Hold, order: Order) -> None:
        if not order.started:
            order.started = True
            order.message = b""
            self._report(Started(order.attempt, order.epoch, hold.process))

    def _hear_end(self, hold: Hold, order: Order, message: dict[str, Any]) -> None:
        record = message["record"]
        is_refused = "full" in record  # told by a worker that could record nothing, and ran nothing
        if not is_refused:
            self._begin(hold, order)
        elif record["full"]:
            self._report(PauseChanged(paused=True, reason="disk full: no room for attempts"))
        try:
            outcome = said_outcome(record, order.directory)
        except OSError:  # no descriptor is left to read its own word with: its records say the same later
            self._background.spawn(self._settle(hold, order))
        else:
            order.refused = outcome if is_refused else None
            self._end(hold, order, outcome, kept=message["kept"])

    def _end(self, hold: Hold, order: Order, outcome: Outcome, *, kept: bool) -> None:
        """An attempt has ended. If its worker ends with it, that is told when its tree is gone."""
        if kept and hold.alive:
            self._tell_end(hold, order, outcome, kept=True)
        elif not kept:
            hold.life = Life.ENDING

    def _tell_end(self, hold: Hold, order: Order, outcome: Outcome, *, kept: bool, stray: bool = False) -> None:
        hold.orders.pop(order.attempt, None)
        self._of.pop(order.attempt, None)
        self._counts["ended"] += 1
        parked = hold.parked() if kept else None
        grown = outcome.growth
        if grown is not None:
            self._report(WorkerGrew(hold.worker, order.attempt, order.epoch, grown.mib, grown.cells))
        self._report(Exited(order.attempt, order.epoch, outcome, stray, parked))

    def _hear_processes(self, event: Event) -> None:
        """The process driver tells of a worker's process."""
        if isinstance(event, PauseChanged):
            self._report(event)
            return
        hold = self._holds.get(getattr(event, "attempt", AttemptId(0)))
        if hold is None:
            return
        if isinstance(event, Started):
            hold.process = event.process
        elif isinstance(event, Exited):
            hold.life, hold.ended, hold.outlived = Life.ENDING, event.outcome, event.stray
            self._background.spawn(self._bury(hold))
        elif isinstance(event, StrayGone):
            hold.outlived = False
            self._background.spawn(self._bury(hold))

    async def _bury(self, hold: Hold) -> None:
        """A worker has ended, and so have its attempts. Its folder goes if nobody needs it."""
        is_told = await self._bury_orders(hold)
        if is_told and hold.came_up and not hold.outlived:
            await asyncio.to_thread(remove_blank, hold.directory)
            await self._bury_orders(hold)  # an attempt of an earlier engine may have been taken up meanwhile
        if not hold.outlived:
            self._gone(hold)

    async def _bury_late(self, hold: Hold) -> None:
        """An attempt of an earlier engine was taken up when its worker was known to have ended."""
        await self._bury_orders(hold)

    async def _bury_orders(self, hold: Hold) -> bool:
        """Tell the ends of a dead worker's attempts, each as its records say; False if those of one that began do not.

        What is left of the worker is charged to the attempt that it ran, or to the first if it had begun none.
        """
        is_told = True
        while orders := list(hold.orders.values()):
            endings = [(order, await _looked_at(order)) for order in orders]
            if hold.outlived and hold.stray is None:
                hold.stray = next((order for order, ending in endings if ending.begun), orders[0])
            for order, ending in endings:
                is_told = is_told and not (ending.begun and ending.outcome is None)
                if order.attempt in hold.orders:
                    outcome = outcome_after(hold, order, ending)
                    self._tell_end(hold, order, outcome, kept=False, stray=order is hold.stray)
        return is_told

    def _gone(self, hold: Hold) -> None:
        """Nothing is left of a worker. Of two that buried it, one may find that late, so it is told once."""
        if hold.gone.is_set():
            return
        hold.life = Life.GONE
        self._holds.pop(hold.worker, None)
        if hold.channel is not None:
            hold.channel.close()
        if hold.stray is not None:
            self._report(StrayGone(hold.stray.attempt, hold.stray.epoch))
        for order in list(hold.orders.values()):
            self._tell_end(hold, order, STOPPED_WORKER, kept=False)
        self._report(WorkerGone(hold.worker))
        hold.gone.set()
