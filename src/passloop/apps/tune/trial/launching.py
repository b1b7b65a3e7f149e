"""Brings a trial's server up, and down again with proof: ports, folder for temporary files, readiness, one retry.

A clash of ports is tried again once, in another block. It is one when somebody else listens where our server should,
or when the server died at its start and somebody listens in its block, or it says itself that its port is taken.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from passloop.apps.tune.engines.base import CannotStart, Server, Site
from passloop.apps.tune.engines.opening import engine_of
from passloop.apps.tune.records import Order

from .failures import TrialFailure
from .guarding import TimeLeft, guarded
from .phases import Phase, PhaseBoard
from .ports import PortBlock, port_folder, taken_ports
from .readiness import Health, PortClash, wait_ready
from .redacting import secrets_in
from .server_log import ServerLog

__all__ = ["Launcher"]


class Launcher:
    """One trial's server. `notes` takes sentences for people; `on_started` is told of each server that was started."""

    def __init__(
        self,
        order: Order,
        environment: Mapping[str, str],
        board: PhaseBoard,
        log: ServerLog,
        notes: list[str],
        *,
        gpus: tuple[str, ...] = (),
        on_started: Callable[[Server], None],
    ) -> None:
        self._order = order
        self._environment = environment
        self._board = board
        self._log = log
        self._notes = notes
        self._gpus = gpus
        self._on_started = on_started
        self._block: PortBlock | None = None
        self.server: Server | None = None
        self.site: Site | None = None

    async def up(self) -> Server:
        """A server of ours that is ready; both tries share the time limit. Raises `TrialFailure`; then, too, `down` has
        to be called.
        """
        clock = asyncio.get_running_loop().time
        limit, began = self._order.limits.start, clock()
        try:
            return await self._up_once(limit, avoid=0)
        except PortClash as clash:
            self._notes.append(f"{clash.message}; tried again in another block of ports")
        first = self._block.first if self._block is not None else 0
        left = max(1, limit - int((clock() - began) * 1000))
        await self.down()
        return await self._up_once(left, avoid=first)

    async def down(self) -> None:
        """End the server and all below it, then give its ports back. Nothing to end is no error."""
        if self.server is not None:
            stopped = await self.server.stop(self._order.limits.stop)
            self.server = None
            if stopped.killed:
                self._notes.append(f"did not end when asked and was killed: {', '.join(stopped.killed)}")
            if stopped.left:
                self._notes.append(f"still there after SIGKILL: {', '.join(stopped.left)}")
        if self._block is not None:
            self._block.release()
            self._block = None

    def health(self) -> Health:
        """The health path of the server that is up."""
        assert self.server is not None
        assert self.site is not None
        return Health(self.server, self.site.host, self.site.port, self._order.engine.ready_path)

    async def _up_once(self, limit: int, *, avoid: int) -> Server:
        self._board.enter(Phase.STARTING, limit=limit)
        engine = engine_of(self._order.engine)
        folder = port_folder(self._environment)
        self._block = await asyncio.to_thread(PortBlock.take, self._order.engine.ports, folder, avoid=avoid)
        self.site = self._site_in(self._block)
        try:
            self.server = await engine.start(self._order.engine, self.site)
        except CannotStart as error:
            raise TrialFailure(error.kind, error.message, final=error.final) from None
        self._log.hide(secrets_in(self.server.environment, self.server.argv))
        self._on_started(self.server)
        health = self.health()
        left = TimeLeft(limit, f"the start ({health.last})")
        try:
            await guarded(wait_ready(health), left, server=self.server, log=self._log)
        except TrialFailure as failure:
            raise self._explained(failure, health, self._block) from None
        return self.server

    def _site_in(self, block: PortBlock) -> Site:
        return Site(
            port=block.first,
            ports=block.count,
            temporary=block.temporary,
            environment=self._environment,
            log=self._log.write,
            gpus=self._gpus,
            mark=self._environment.get("PASSLOOP_ATTEMPT_ID", ""),
            task=self._environment.get("PASSLOOP_TASK_ID", ""),
        )

    def _explained(self, failure: TrialFailure, health: Health, block: PortBlock) -> TrialFailure:
        """A failed start as what it is: a clash of ports, or one that says what its health path last said."""
        if isinstance(failure, PortClash):
            return failure
        if failure.kind == "time_limit":
            seconds = self._order.limits.start / 1000
            text = f"the server was not ready within {seconds:g} s: {health.last}"
            return TrialFailure("time_limit", text, lines=failure.lines)
        if failure.kind == "port" or self._is_taken(block):
            clash = PortClash(f"a port from {block.first} on was taken when the server started ({failure.message})")
            clash.lines = failure.lines
            return clash
        return failure

    def _is_taken(self, block: PortBlock) -> bool:
        """Whether somebody else than what is left of our server listens in the block."""
        assert self.server is not None
        return any(self.server.holder(port) == "others" for port in taken_ports(block.first, block.count))
