"""`GpuPool`: GPUs for the calling process, and nothing more. A lease is a task of the engine that this process holds.

So there is one ledger and one queue: two pools, the command line and a sweep never get the same GPU. Nothing here
chooses or counts devices.
"""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any

from .door import Door, home_path
from .errors import NeverFits, PassloopError, told
from .html import table_html
from .numbers import Number
from .records import Json

if TYPE_CHECKING:
    from passloop.devices.locks import DeviceLocks

__all__ = ["GpuPool", "Lease", "PoolStatistics"]

WAIT_MS = 60_000


@dataclass(frozen=True, slots=True)
class Lease:
    """GPUs that this process holds: their UUIDs, their CUDA indices and their sizes in MiB, in the order granted.

    `task` is its number on the ledger (`passloop show`).
    """

    task: int
    owner: str
    uuids: tuple[str, ...]
    indices: tuple[int, ...]
    vram_mib: tuple[int, ...]

    @property
    def env(self) -> dict[str, str]:
        """Variables that show a child process these GPUs and no others; indices start at 0 there."""
        uuids = ",".join(self.uuids)
        return {"CUDA_VISIBLE_DEVICES": uuids, "CUDA_DEVICE_ORDER": "PCI_BUS_ID", "PASSLOOP_GPUS": uuids}


@dataclass(frozen=True, slots=True)
class PoolStatistics:
    """Leases of one pool: held now, waited for now; granted, given back and timed out since it was opened."""

    held: int
    waiting: int
    granted: int
    released: int
    timed_out: int


def _cells(lease: Lease) -> tuple[object, ...]:
    return lease.task, lease.owner, ", ".join(map(str, lease.indices)), ", ".join(lease.uuids)


class GpuPool:
    """Leases of GPUs, at most `max_parallel` at once (None: as many as fit), on the ledger of `home`.

    Used as `async with GpuPool() as pool`. Leases are first in, first out, and all or nothing. They end with the block,
    and with this process, however it ends.
    """

    def __init__(
        self,
        max_parallel: int | None = None,
        home: str | os.PathLike[str] | None = None,
        *,
        group: str = "default",
        priority: int = 0,
    ) -> None:
        if max_parallel is not None and max_parallel < 1:
            raise ValueError(f"max_parallel is {max_parallel}; at least one lease must be possible")
        self.max_parallel = max_parallel
        self._group, self._priority = group, priority
        self._door = Door(home_path(home))
        self._number: Number | None = None
        self._limit: str | None = None
        self._held: dict[int, Lease] = {}
        self._locked: dict[int, asyncio.Task[DeviceLocks]] = {}
        self._undoing: set[asyncio.Task[None]] = set()
        self._counts = {"waiting": 0, "granted": 0, "released": 0, "timed_out": 0}

    async def __aenter__(self) -> GpuPool:
        await self._door.open()
        try:
            await self._declare()
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        async with AsyncExitStack() as ends:
            ends.push_async_callback(self._close)
            ends.push_async_callback(self._release_all)
            if self._undoing:
                await asyncio.wait(tuple(self._undoing))

    async def acquire(
        self,
        gpus: int = 1,
        min_memory: str | int | None = None,
        owner: str = "",
        timeout: float | None = None,  # noqa: ASYNC109  seconds, as in asyncio.wait
        balance: bool | None = None,
    ) -> Lease:
        """Wait for `gpus` whole GPUs, each with `min_memory` of VRAM free or more ("8GiB", or MiB; default: 80 %).

        With `balance` the free VRAM of several lies within 80 % of each other (default: for more than one). Raises
        `TimeoutError` after `timeout` seconds, `NeverFits` at once for what this machine cannot have, `ValueError` or
        `TypeError` for arguments that cannot be, and `PassloopError` if somebody cancels the lease, or this process
        cannot lock the GPUs against other homes.
        """
        _check_count(gpus)
        _check_timeout(timeout)
        asking = asyncio.ensure_future(self._ask(gpus, min_memory, owner, gpus > 1 if balance is None else balance))
        self._counts["waiting"] += 1
        try:
            async with asyncio.timeout(timeout):
                lease = await self._granted(await asyncio.shield(asking))
        except TimeoutError:
            self._counts["timed_out"] += 1
            raise TimeoutError(await self._undo(asking, gpus, timeout)) from None
        except BaseException:
            await self._undo(asking, gpus, None)
            raise
        finally:
            self._counts["waiting"] -= 1
        self._held[lease.task] = lease
        self._counts["granted"] += 1
        return lease

    async def release(self, lease: Lease) -> None:
        """Give a lease back; its GPUs are free when this returns. One given back or removed before is no error.

        Raises `PassloopError` if the engine cannot be told, `EngineGone` where there is none any more: the lease is on
        the ledger until it is told, or this process ends. Other homes may have the GPUs all the same.
        """
        await self._give_back(lease.task)
        if self._held.pop(lease.task, None) is not None:
            self._counts["released"] += 1

    @asynccontextmanager
    async def lease(
        self,
        gpus: int = 1,
        min_memory: str | int | None = None,
        owner: str = "",
        timeout: float | None = None,  # noqa: ASYNC109  seconds, as in asyncio.wait
        balance: bool | None = None,
    ) -> AsyncIterator[Lease]:
        """`acquire` for the length of a block."""
        held = await self.acquire(gpus, min_memory, owner, timeout, balance)
        try:
            yield held
        finally:
            await asyncio.shield(self._in_hand(self.release(held)))

    def statistics(self) -> PoolStatistics:
        """How many leases there are and were, as a frozen snapshot."""
        return PoolStatistics(held=len(self._held), **self._counts)

    def _repr_html_(self) -> str:
        """What is held, as a table for notebooks."""
        counts = self.statistics()
        most = "as many as fit" if self.max_parallel is None else f"at most {self.max_parallel}"
        title = f"GpuPool, {most} at once: {counts.held} held, {counts.waiting} waiting, {counts.granted} granted"
        return table_html(title, ("task", "owner", "GPUs", "UUIDs"), [_cells(each) for each in self._held.values()])

    async def _declare(self) -> None:
        if self.max_parallel is None:
            return
        self._number = Number(self._door.path)
        body = {"capacity": self.max_parallel}
        answer = await self._door.post(f"/leases/limits/{self._number.value}", body, repeatable=True)
        self._limit = answer["limit"]

    async def _release_all(self) -> None:
        """Try each, though another one fails, before what went wrong is raised."""
        async with AsyncExitStack() as ends:
            for lease in self._held.values():
                ends.push_async_callback(self.release, lease)

    async def _close(self) -> None:
        if self._number is not None:
            self._number.close()
            self._number = None
        await self._door.close()

    async def _ask(self, gpus: int, min_memory: str | int | None, owner: str, balance: bool) -> int:
        """Queue for a lease; its task."""
        body = _body(gpus, min_memory, owner, balance)
        body |= {"limit": self._limit, "group": self._group, "priority": self._priority}
        try:
            return int((await self._door.post("/leases", body, repeatable=True))["task"])
        except NeverFits as never:
            raise await self._never(gpus, never) from None

    async def _never(self, gpus: int, never: NeverFits) -> NeverFits:
        """The engine's refusal, with this machine's numbers; plainly so where there is no GPU at all."""
        about = await self._door.get("/gpus")
        sizes = tuple(gpu["vram_mib"] for gpu in about["gpus"])
        if sizes:
            return NeverFits(never.message, hint="ask for fewer GPUs or less memory", vram_mib=sizes)
        reason = f": {about['absent_reason']}" if about["absent_reason"] else ""
        hint = "to try it without, set PASSLOOP_VIRTUAL_GPUS=4x80GiB"
        return NeverFits(f"there is no GPU on this machine, and {gpus} were asked for{reason}", hint=hint)

    async def _granted(self, task: int) -> Lease:
        """Wait until the lease is held, and locked by us. Raises `PassloopError` if it ended before, or cannot be."""
        while True:
            answer = await self._door.get(f"/leases/{task}", [("timeout_ms", WAIT_MS)])
            lease: Json = answer["lease"]
            if lease["state"] == "running":
                return await self._locking(_lease_of(lease), answer.get("locks"))
            if lease["state"] in ("cancelled", "succeeded", "failed", "aborted", "rejected"):
                message = f"lease {task} {lease['state']}: {lease['message']}"
                raise PassloopError(message, hint=f"passloop show {task}", code="lease_ended")

    async def _locking(self, lease: Lease, place: Json | None) -> Lease:
        """Lock a lease's GPUs against other homes; nobody else can see them where the engine names no place for it."""
        from .gpu_locks import lock_gpus

        if place is not None:
            locking = asyncio.to_thread(lock_gpus, place["folder"], place["home_id"], lease.uuids)
            self._locked[lease.task] = asyncio.create_task(locking)
            await asyncio.shield(self._locked[lease.task])
        return lease

    async def _give_back(self, task: int) -> None:
        """End a lease, and let other homes have its GPUs whatever the engine says: who gives back uses them no more."""
        try:
            await self._door.post(f"/leases/{task}/release", {}, repeatable=True)
        except PassloopError as refused:
            if refused.code != "not_found":  # removed from the ledger, so it had ended
                raise
        finally:
            await self._unlock(task)

    async def _unlock(self, task: int) -> None:
        """Let go of a lease's locks, though the locking that a cancel cut short goes on. A cancel here loses none."""
        locking = self._locked.get(task)
        if locking is None:
            return
        await asyncio.wait([locking])
        self._locked.pop(task, None)
        if not locking.cancelled() and locking.exception() is None:
            locking.result().give_back()

    async def _undo(self, asking: asyncio.Future[int], gpus: int, timeout: float | None) -> str:  # noqa: ASYNC109
        """Take a request back, however far it came, even if we are cancelled once more. Says why it was not granted."""
        said: list[str] = []

        async def take_back() -> None:
            try:
                task = await asking
            except (PassloopError, ValueError):
                return
            if timeout is not None:
                blockers = (await self._door.get(f"/tasks/{task}/why"))["blockers"]
                said.extend(blocker["sentence"] for blocker in blockers)
            await self._give_back(task)

        await asyncio.shield(self._in_hand(take_back()))
        waited = f"waited {timeout or 0:g} s for {gpus} {'GPU' if gpus == 1 else 'GPUs'} in vain"
        return ": ".join([waited, *said[:1]]) + "".join(f"; and {one}" for one in said[1:])

    def _in_hand(self, work: Any) -> asyncio.Task[None]:
        """Work that is finished even if who began it is cancelled; the pool waits for it at its end."""
        undoing: asyncio.Task[None] = asyncio.ensure_future(work)
        self._undoing.add(undoing)
        undoing.add_done_callback(self._undoing.discard)
        return undoing


def _check_count(gpus: object) -> None:
    """Raises for what is no number of whole GPUs, before anything is asked."""
    if isinstance(gpus, bool) or not isinstance(gpus, int):
        raise TypeError(f"gpus is {repr(gpus)[:80]}; a lease is of whole GPUs: write a number such as gpus=1")
    if gpus < 1:
        raise ValueError(f"gpus is {gpus}; a lease has at least one")


def _check_timeout(timeout: object) -> None:
    """Raises for what is no span to wait, before anything is asked."""
    if timeout is None:
        return
    if isinstance(timeout, bool) or not isinstance(timeout, int | float):
        raise TypeError(f"timeout is {repr(timeout)[:80]}; a number of seconds, or None for as long as it takes")
    if not timeout >= 0:
        raise ValueError(f"timeout is {timeout}; wait 0 seconds or more, or None for as long as it takes")


def _body(gpus: int, min_memory: str | int | None, owner: str, balance: bool) -> dict[str, Any]:
    from passloop.apps.units import size_mib
    from passloop.drivers.identity import own_process

    with told():
        mib = size_mib(min_memory) if isinstance(min_memory, str) else min_memory
    holder = own_process()
    return {
        "pid": holder.pid,
        "ticks": holder.ticks,
        "owner": owner or "lease",
        "gpus": gpus,
        "vram_mib": mib,
        "balance": balance and gpus > 1,
        "key": f"lease-{uuid.uuid4()}",
    }


def _lease_of(view: Json) -> Lease:
    gpus = view["gpus"]
    return Lease(
        task=view["task"],
        owner=view["owner"],
        uuids=tuple(gpu["uuid"] for gpu in gpus),
        indices=tuple(gpu["index"] for gpu in gpus),
        vram_mib=tuple(gpu["vram_mib"] for gpu in gpus),
    )
