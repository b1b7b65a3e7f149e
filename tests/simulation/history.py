"""One history: a seed, a mode and a number of events give a story of one or two homes, always the same.

`safety`: anything may go wrong at any time, and nothing that was promised breaks. `liveness`: the same, then all that
was wrong heals, and everything ends; again, until there were enough events, of storms and of healing together. `ahead`:
a storm of all events and one healing, with long lines behind warm workers, and sources that run ahead of a lost model.
`pools`: as that, of calls mostly, on pools that other runs declare otherwise. `load`: small tasks come without end, and
who waits beside them gets through. `clocks`: the wall clock jumps, engines restart. `devices`: two homes share one box.
A history that breaks a promise raises, with the command that replays it.
"""

from __future__ import annotations

import contextlib
import gc
import io
import math
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from pathlib import Path

from passloop.clock import FakeClock
from passloop.kernel import invariants
from passloop.kernel.events import GroupReleased, QuarantineReleased, Released, SourceRetried
from passloop.store.home import Home

from .actions import GROUPS, PLANS, Action, send
from .endpoints import POOLS
from .homes import Box, SimulatedHome
from .load import Load
from .loop import SimulatedLoop, watched_crashpoints
from .reasons import check_reasons, named_reasons_are_true
from .source_reasons import check_source_reasons, source_reasons_are_true

__all__ = ["MODES", "Look", "Told", "command", "play"]

MODES = (*PLANS, "load")
START = 1_700_000_000_000
GAPS = {0: 60, 1: 15, 10: 15, 100: 15, 1_000: 30, 5_000: 15, 20_000: 10, 60_000: 5, 600_000: 3}
"""How long (ms) after one action the next one happens, and how often that is so."""
STORM = 0.5
"""How much of the events that `liveness` still lacks a storm takes; then all heals, which brings the rest."""
HEALING = 30 * 24 * 3_600_000
"""Within how long (ms) of simulated time everything must end once nothing is wrong any more."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a history was: its events by kind, how engines died, how attempts ended, how many tasks got
    through an endless load, and a fingerprint of it all.
    """

    events: int
    turns: int
    kinds: Counter[str]
    deaths: Counter[str]
    outcomes: Counter[str]
    pauses: int
    explained: int
    through: int
    fingerprint: int


def command(mode: str, seed: int, events: int) -> str:
    """What replays a history, in the environment that every target of `make` sets up."""
    return f".venv/bin/python -m tests.simulation.replay --mode {mode} --seed {seed} --events {events}"


Look = Callable[[Home, int], None]
"""Looks at a home, at this wall time (ms)."""


def play(mode: str, seed: int, events: int, *, trace: bool = False, look: Look | None = None) -> Told:
    """Play one history; `look` sees each home before all heals. Raises what it breaks, with what replays it."""
    memory = Path("/dev/shm")
    path = Path(tempfile.mkdtemp(prefix="passloop-simulation-", dir=memory if memory.is_dir() else None))
    said = io.StringIO()
    try:
        with watched_crashpoints(), rare_collection(), contextlib.redirect_stderr(said):
            told = _History(path, mode, seed, events, trace=trace, look=look).played()
        assert "dropped an event" not in said.getvalue(), said.getvalue()
    except BaseException as broken:
        broken.add_note(f"{mode}, seed {seed}; replay it with: {command(mode, seed, events)}")
        raise
    finally:
        shutil.rmtree(path, ignore_errors=True)
    return told


@contextlib.contextmanager
def rare_collection() -> Iterator[None]:
    """Look for garbage in cycles seldom: a history makes little of it, and looking takes a tenth of its time."""
    before = gc.get_threshold()
    gc.set_threshold(100_000, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


class _History:
    def __init__(self, path: Path, mode: str, seed: int, events: int, *, trace: bool, look: Look | None) -> None:
        self.mode, self.most, self.trace, self.look = mode, events, trace, look
        self.chance = random.Random(f"{mode} {seed}")
        self.loop = SimulatedLoop(FakeClock(START), self.chance)
        if mode == "devices":
            (path / "locks").mkdir(mode=0o700)
        self.box = Box(self.loop, self.chance, path, gpus=4, homes=2 if mode == "devices" else 1)
        for home in self.box.homes:
            home.watch = self._watch
        self.plan = PLANS.get(mode, {})
        self.through = 0
        self.healing = False
        self.explained = 0
        self.turns = 0

    def played(self) -> Told:
        try:
            self.loop.run_until_complete(self._story())
        finally:
            for home in self.box.homes:
                home.processes.end_all()
            self.loop.close()
        return self._told()

    @property
    def events(self) -> int:
        return sum(home.witness.events for home in self.box.homes)

    async def _story(self) -> None:
        try:
            for home in self.box.homes:
                await home.open()
                self._declare(home)
            while self.events < self.most:
                await self._storm(self._storm_until())
                self._show()
                if self.mode != "safety":
                    await self._heal()
                    self._break_again()
            for home in self.box.homes:
                await self._check_what_is_kept(home)
        finally:
            for home in self.box.homes:
                await home.close()

    def _show(self) -> None:
        if self.look is not None:
            for home in self.box.homes:
                self.look(home.home, self.loop.clock.wall())

    def _declare(self, home: SimulatedHome) -> None:
        for pool in POOLS:
            send(home, pool)

    def _storm_until(self) -> int:
        """How many events there are to be when the storm that begins now ends."""
        return self.most if self.mode != "liveness" else self.events + math.ceil((self.most - self.events) * STORM)

    async def _storm(self, until: int) -> None:
        """What a mode is about, until there were so many events."""
        if self.mode != "load":
            await self._go_on(until)
            return
        load = Load(self.box.homes[0], self.chance)
        await load.press(lambda: self.events >= until, 20 * self.most)
        self.through += load.through

    async def _go_on(self, until: int) -> None:
        """Actions and gaps, until there were so many events."""
        actions, weights = list(self.plan), list(accumulate(self.plan.values()))
        gaps, often = list(GAPS), list(accumulate(GAPS.values()))
        for _ in range(20 * self.most):
            if self.events >= until:
                return
            await self.box.rest(self.chance.choices(gaps, cum_weights=often)[0])
            for home in self.box.homes:
                home.check_live()
            await self._revive()
            home = self.chance.choice(self.box.homes)
            action = self.chance.choices(actions, cum_weights=weights)[0]
            self._note(home, action)
            action(home)
            if self.chance.random() < 0.01 and home.alive:
                await home.go_down()
        raise AssertionError(f"only {self.events} of {until} events came to be")

    async def _revive(self) -> None:
        """Dead engines are started again, at once or after a while."""
        for home in self.box.homes:
            while home.life.dead:
                await self.box.rest(self.chance.choice([0, 50, 5_000, 120_000]))
                await home.open()

    async def _heal(self) -> None:
        """From now on nothing is wrong, nothing new comes, and all that was held is let go: everything ends."""
        self.healing = True
        self.box.devices.heal()
        self.box.endpoints.heal()
        for home in self.box.homes:
            home.fill()
            home.writer.healthy = True
            home.processes.heal()
            home.look_outside()
            home.life.dies_in = None
            if home.is_draining() or self.chance.random() < 0.5:
                home.life.end()  # else this engine must bring all to an end, with what it has forgotten
        until = self.loop.clock.now() + HEALING
        for _ in range(2):
            await self._revive()
            for home in self.box.homes:
                self._let_go(home)
            await self.box.rest(60_000)
            for home in self.box.homes:
                if home.is_draining():
                    home.life.end()  # a drain that was still under way
        await self._revive()
        while any(home.is_busy() for home in self.box.homes):
            assert self.loop.clock.now() < until, self._stranded()
            await self.box.rest(24 * 3_600_000)
            await self._revive()
            for home in self.box.homes:
                self._vouch(home)  # what ran since before the healing may have called its device faulty only now
        await self.box.rest(60_000)
        waiting = [client for home in self.box.homes for client in home.clients if not client.done()]
        assert not waiting, f"clients were never answered: {waiting}"
        for home in self.box.homes:
            home.processes.workers.go_on()
            left = home.processes.workers.by_id
            assert not left, f"workers are left though their runs are over: {left}"

    def _break_again(self) -> None:
        """Things may go wrong as before."""
        self.healing = False
        for home in self.box.homes:
            home.writer.healthy = home.processes.healthy = False

    def _let_go(self, home: SimulatedHome) -> None:
        """A user releases what is held, vouches for devices and declares pools again. Closed ones open by themselves,
        dead ones, too: none is closed until a person opens it.
        """
        self._declare(home)
        for group in sorted(set(GROUPS)):
            send(home, GroupReleased(group))
        sources = home.witness.sources
        send(home, Released(tuple(home.witness.unfinished()), sources=tuple(sources.unfinished())))
        for run in sources.failed():
            send(home, SourceRetried(run))
        self._vouch(home)

    def _vouch(self, home: SimulatedHome) -> None:
        for uuid in self.box.devices.by_uuid:
            send(home, QuarantineReleased(uuid))

    def _stranded(self) -> str:
        lines = []
        for home in self.box.homes:
            if home.engine is None:
                continue
            machine, now = home.engine.turns.machine, home.engine.clock.now()
            for task in home.witness.unfinished():
                why = [blocker.sentence for blocker in machine.explain(task, now)]
                lines.append(f"task {task} is {home.witness.rows[task].state}: {why}")
            lines += [f"{one.row}: {[blocker.sentence for blocker in one.blockers]}" for one in machine.sources()]
            lines.append(f"attempts: {home.witness.attempts}")
        return "stranded: " + "; ".join(lines)

    async def _check_what_is_kept(self, home: SimulatedHome) -> None:
        """After the last engine, all that was committed is in the store."""
        await home.close()
        home.fill()
        await home.open()
        assert home.engine is not None
        home.witness.check_store(home.engine.store)

    def _watch(self, home: SimulatedHome) -> None:
        """After each turn that changed something: the machine's laws, and a reason for those that wait."""
        assert home.engine is not None
        self.turns += 1
        if home.witness.batches == home.looked_at:
            return
        home.looked_at = home.witness.batches
        machine = home.engine.turns.machine
        now = machine.state.now
        invariants.check(machine, now)
        if self.turns % 4 == 0 or self.healing:
            check_reasons(machine, now, self.chance)
            check_source_reasons(machine, now)
        if self.mode in ("liveness", "pools") and self.chance.random() < 0.02:
            load = cache(home.engine.store.load)
            self.explained += named_reasons_are_true(machine, load, self.chance)
            self.explained += source_reasons_are_true(machine, load, self.chance)

    def _note(self, home: SimulatedHome, action: Action) -> None:
        if self.trace:
            alive = "" if home.alive else " (no engine)"
            print(
                f"{self.events:5d} {self.loop.clock.now() - START:10d} ms  home {home.number}{alive}: {action.__name__}"
            )

    def _told(self) -> Told:
        homes = self.box.homes
        kinds: Counter[str] = sum((home.witness.kinds for home in homes), Counter())
        outcomes: Counter[str] = sum((home.witness.outcomes for home in homes), Counter())
        text = repr([sorted(home.witness.rows.items()) for home in homes])
        return Told(
            events=self.events,
            turns=self.turns,
            kinds=kinds,
            deaths=Counter(self.box.deaths),
            outcomes=outcomes,
            pauses=sum(home.pauses for home in homes),
            explained=self.explained,
            through=self.through,
            fingerprint=random.Random(text).getrandbits(64),
        )
