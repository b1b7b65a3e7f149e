"""One trial through its phases, to a document. Whatever goes wrong ends as a failure in it, after everything is down.

It waits for no device and decides nothing about other trials. It must never leave a server behind, and never tell of a
measurement before the server's tree is gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from passloop.apps.tune.engines.base import Server
from passloop.apps.tune.records import Document, Failure, Order
from passloop.clock import Clock

from .devices import DeviceWatch
from .downloading import download
from .failures import TrialFailure
from .files import replace_json
from .launching import Launcher
from .loading import PointLoad, load_point, make_ready
from .measuring import Measuring
from .memory_kills import heed_memory_kill, memory_kills
from .own_word import heed_own_word
from .phases import Phase, PhaseBoard
from .provenance import busy_note, host_facts, logged_version, own_version, served_version
from .redacting import redacted_argv, redacted_environment, secrets_in
from .server_log import ServerLog

__all__ = ["ARGV", "ENVIRONMENT", "METRICS", "SERVER_LOG", "Trial"]

SERVER_LOG = "server.log"
METRICS = "metrics.json"
ARGV = "argv.json"
ENVIRONMENT = "environment.json"


class Trial:
    """One trial. `folder` takes all that it leaves, `environment` is the task's.

    After `run`, `failure` is what ended it, if something did.
    """

    def __init__(
        self, order: Order, folder: Path, environment: Mapping[str, str], *, clock: Clock, devices: DeviceWatch
    ) -> None:
        self._order = order
        self._folder = folder
        self._environment = environment
        self._devices = devices
        self._facts: dict[str, Any] = host_facts(order, clock)
        self._notes = [note for note in (busy_note(self._facts), devices.silence if devices.gpus else "") if note]
        self._argv = redacted_argv(order.engine.argv)
        self._kills = memory_kills()
        self._board = PhaseBoard(folder, clock)
        self._log = ServerLog(folder / SERVER_LOG, secrets=secrets_in(environment, order.engine.argv))
        self._measuring = Measuring(order, folder, self._board, self._log, self._notes)
        self._launcher = Launcher(
            order, environment, self._board, self._log, self._notes, gpus=devices.gpus, on_started=self._on_started
        )
        self.failure: TrialFailure | None = None

    async def run(self, load: PointLoad = load_point) -> Document:
        """Carry the trial out and leave `metrics.json`. Raises only a cancellation, after everything is down."""
        failed: Failure | None = None
        try:
            await self._measured(load)
        except TrialFailure as error:
            likely = heed_memory_kill(error, self._kills, memory_kills())
            self.failure = heed_own_word(likely, self._folder)
            failed = self.failure.record(self._board.phase)
        finally:
            await self._down()
        document = self._document(failed)
        replace_json(self._folder / METRICS, msgspec.to_builtins(document), durable=True)
        self._board.enter(Phase.ENDED)
        return document

    async def _measured(self, load: PointLoad) -> None:
        await self._devices.begin()
        if self._devices.hardware:
            self._facts["hardware"] = self._devices.hardware
        if self._order.engine.download:
            self._board.enter(Phase.DOWNLOADING, limit=self._order.limits.download)
            await download(self._order, self._environment, self._folder, self._log)
        preparing = asyncio.ensure_future(asyncio.to_thread(self._prepare))
        try:
            server = await self._launcher.up()
        finally:
            await preparing
        self._board.enter(Phase.READY)
        site, health = self._launcher.site, self._launcher.health()
        assert site is not None
        version = logged_version(self._log.lines()) or await served_version(site.host, site.port)
        self._facts["engine_version"] = version
        self._devices.start_sampling()
        await self._measuring.run(load, server, site, health)

    def _prepare(self) -> None:
        """What can be done while the server starts, in a thread."""
        make_ready()
        self._facts["passloop"] = own_version()

    async def _down(self) -> None:
        """End what runs, wait for clean devices, close the log. The failure, if any, is already known."""
        self._board.enter(Phase.STOPPING, limit=self._order.limits.stop)
        await self._devices.stop_sampling()
        await self._launcher.down()
        self._board.enter(Phase.VERIFYING, limit=self._order.limits.verify)
        dirty = await self._devices.wait_clean(self._order.limits.verify)
        if dirty:
            self._notes.append(dirty)
        self._devices.close()
        self._log.close()

    def _on_started(self, server: Server) -> None:
        """Leave what was really run. A second start, in another block of ports, takes the place of the first."""
        self._argv = redacted_argv(server.argv)
        self._facts["engine"] = dict(server.facts())
        replace_json(self._folder / ARGV, list(self._argv))
        replace_json(self._folder / ENVIRONMENT, redacted_environment(server.environment))

    def _document(self, failed: Failure | None) -> Document:
        pruned = self._measuring.pruned
        if self._devices.peaks:
            self._facts["vram_peak_mib"] = dict(self._devices.peaks)
        return Document(
            trial=self._order.trial,
            params=self._order.params,
            hash=self._order.hash,
            state="failed" if failed is not None else "pruned" if pruned is not None else "complete",
            argv=self._argv,
            points=tuple(self._measuring.results),
            pruned=None if failed is not None else pruned,
            failure=failed,
            spans=self._board.spans(),
            provenance=self._facts,
            gpus=self._devices.gpus,
            max_load=self._measuring.max_load,
            notes=tuple(self._notes),
        )
