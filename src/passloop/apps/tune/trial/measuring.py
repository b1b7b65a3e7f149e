"""Loads a ready server with one point after the other, low load first, and ends early where going on is a waste.

Each part keeps its own time limit; the server's death or sickness ends the point at once. It never retries a point.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from passloop.apps.tune.engines.base import Server, Site
from passloop.apps.tune.records import Order, Point, PointResult

from .early import cheap_first, gave_up, why_stop
from .failures import TrialFailure, classify
from .guarding import TimeLeft, died, guarded
from .http import NoAnswer, ask
from .loading import WARMUP, PointLoad, highest_load
from .phases import Phase, PhaseBoard
from .readiness import Health
from .server_log import ServerLog

__all__ = ["Measuring"]

LOAD_LOG = "load.log"
RESET_SECONDS = 30.0
END_SECONDS = 2.0
"""So long after its last connection the end of a server is known on a busy machine."""
BROKEN_OFF = {"connect", "closed"}
"""How requests fail to a server that is no more."""


class Measuring:
    """The measured part of one trial. `results`, `pruned` and `max_load` hold what there is, also after a failure."""

    def __init__(self, order: Order, folder: Path, board: PhaseBoard, log: ServerLog, notes: list[str]) -> None:
        self._order = order
        self._folder = folder
        self._board = board
        self._log = log
        self._notes = notes
        self._points = cheap_first(order.load.points)
        self.results: list[PointResult] = []
        self.pruned: str | None = None
        self.max_load: dict[str, Any] | None = None
        self._begun = 0

    async def run(self, load: PointLoad, server: Server, site: Site, health: Health) -> None:
        """Measure the points, then search for the highest load if that is asked for. Raises `TrialFailure`."""
        stage = _Stage(load, server, site, health)
        for number, point in enumerate(self._points, start=1):
            result = await self._measure(stage, point)
            await self._refuse_if_nothing_worked(stage.server, result)
            self.results.append(result)
            self.pruned = gave_up(result) or why_stop(self._order, self.results, self._points[number:])
            if self.pruned is not None:
                return
        if self._order.search_load is not None:
            measured = tuple(self.results)
            self.max_load = await highest_load(self._order, lambda point: self._measure(stage, point), measured)

    async def _measure(self, stage: _Stage, point: Point) -> PointResult:
        """Load the live server with one point, with its cache emptied before all but the first."""
        self._begun += 1
        points = max(self._begun, len(self._points))
        work = _PointWork(self._order, point, self._board, self._begun, points, self._folder / LOAD_LOG)
        return await guarded(
            self._clean_load(stage, work, fresh=self._begun == 1),
            work.begin(),
            server=stage.server,
            log=self._log,
            health=stage.health.watch(self._order.limits.health),
        )

    async def _clean_load(self, stage: _Stage, work: _PointWork, *, fresh: bool) -> PointResult:
        if not fresh:
            await self._reset(stage.site)
        url = stage.site.url
        return await stage.load(self._order, work.point, url, folder=self._folder, progress=work.on_progress)

    async def _refuse_if_nothing_worked(self, server: Server, result: PointResult) -> None:
        """A server that broke off may be one that has died: the system tells its end a moment later."""
        if not result.requests or result.errors < result.requests:
            return
        if result.error_kinds.keys() & BROKEN_OFF:
            await asyncio.wait([server.ended], timeout=END_SECONDS)
            if server.ended.done():
                raise await died(server, self._log)
        kinds = ", ".join(f"{kind} x{count}" for kind, count in sorted(result.error_kinds.items()))
        text = f"all {result.requests} requests at {result.point.name} failed: {kinds}"
        raise TrialFailure("crash", text, lines=classify(self._log.lines())[1])

    async def _reset(self, site: Site) -> None:
        """Empty the server's cache, where it has a path for it; a refusal is noted and the figures stand."""
        path = self._order.engine.reset
        if path is None:
            return
        try:
            reply = await ask(site.host, site.port, path, method="POST", seconds=RESET_SECONDS)
        except NoAnswer as nothing:
            self._notes.append(f"the cache was not reset: POST {path}: {nothing}")
            return
        if not reply.good:
            self._notes.append(f"the cache was not reset: POST {path} was answered {reply.status}")


@dataclass(frozen=True, slots=True)
class _Stage:
    """What is loaded, and by what."""

    load: PointLoad
    server: Server
    site: Site
    health: Health


class _PointWork:
    """The phases of one point: warm-up and measuring, each with its time limit, told in phase.json and load.log."""

    def __init__(self, order: Order, point: Point, board: PhaseBoard, number: int, points: int, log: Path) -> None:
        self.point = point
        self._board = board
        self._place = {"point": number, "points": points, "name": point.name}
        self._log = log
        self._limits = {Phase.WARMUP: order.limits.warmup, Phase.MEASURING: order.limits.point}
        self._used = dict.fromkeys(self._limits, 0.0)
        self._phase = Phase.WARMUP if point.warmup else Phase.MEASURING

    def begin(self) -> TimeLeft:
        """The point begins."""
        self._since = asyncio.get_running_loop().time()
        self._left = TimeLeft(self._limits[self._phase], self._what(self._phase))
        self._show()
        return self._left

    def on_progress(self, told: Any) -> None:
        """The load has come so far."""
        with self._log.open("ab") as file:
            file.write(msgspec.json.encode(told) + b"\n")
        warming = told.phase == WARMUP and told.done < told.requests
        phase = Phase.WARMUP if warming else Phase.MEASURING
        if phase is not self._phase:
            self._turn_to(phase)

    def _turn_to(self, phase: Phase) -> None:
        now = asyncio.get_running_loop().time()
        self._used[self._phase] += (now - self._since) * 1000
        self._phase, self._since = phase, now
        self._left.set(max(1, int(self._limits[phase] - self._used[phase])), self._what(phase))
        self._show()

    def _what(self, phase: Phase) -> str:
        return f"{phase} at {self.point.name}"

    def _show(self) -> None:
        self._board.enter(self._phase, limit=self._limits[self._phase], **self._place)
