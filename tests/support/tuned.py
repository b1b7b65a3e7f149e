"""A study in a real engine and store, its trials played by hand: what each was told, what it leaves when it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from passloop.apps.tune.records import Document, Failure, Order
from passloop.apps.tune.report.standing import Standing
from passloop.apps.tune.report.stored import standing_of
from passloop.apps.tune.search.expander import KIND, TuneExpander, declared_of, parallel_of
from passloop.apps.tune.study import Study
from passloop.apps.tune.study_view import ORDER, Trial, trials_of
from passloop.devices.base import Inventory
from passloop.drivers.base import Launch
from passloop.kernel.ids import RunId
from passloop.kernel.tasks import Outcome, OutcomeKind
from passloop.store.sources import SourceView
from tests.support.engines import Rig
from tests.support.trial_documents import point

__all__ = ["Tuned"]

FAILURE = Outcome(kind=OutcomeKind.FAILURE, exit_code=1)


class Tuned:
    """One study on one home. `asked` is every order that a trial was started with, in that order."""

    def __init__(self, folder: Path, study: Study, *, cpus: int = 4, inventory: Inventory | None = None) -> None:
        self._inventory = inventory
        self.rig = Rig(folder, cpus=cpus)
        self.study = study
        self.asked: list[Order] = []
        self.run = RunId(0)

    async def open(self) -> None:
        """An engine; after `kill` the next one."""
        engine = self.rig.open(inventory=self._inventory)
        engine.expansions.register(KIND, TuneExpander())
        await engine.start()

    async def declare(self, study: Study | None = None) -> None:
        """Begin a run of the study, or of another one."""
        self.study = study or self.study
        await self.rig.engine.send(parallel_of(self.study))
        self.run = (await self.rig.engine.declare_source(declared_of(self.study, environment={}))).run

    @property
    def live(self) -> dict[int, Launch]:
        """What runs, by the number of the trial."""
        return {order_of(launch).trial: launch for launch in self.rig.outside.live.values()}

    async def until_live(self, count: int) -> dict[int, Launch]:
        """Wait until so many trials run."""
        await self.rig.until(lambda: len(self.rig.outside.live) >= count)
        return self.live

    def end(self, number: int, value: float | None = 1.0, **facts: Any) -> None:
        """Let a trial end: measured with a value, or failed; `kind` and `message` say how, `outcome` overrides."""
        launch = self.live[number]
        order = order_of(launch)
        self.asked.append(order)
        failure = Failure(kind=facts.pop("kind", "crash"), message=facts.pop("message", "it broke"), phase="starting")
        outcome = facts.pop("outcome", None)
        told = {"trial": order.trial, "params": order.params, "hash": order.hash, "argv": order.engine.argv}
        if value is None:
            document = Document(**told, state="failed", failure=failure)
        elif facts.pop("pruned", False):
            document = Document(**told, state="pruned", pruned="it cannot win")
        else:
            points = [
                point(name, output_tokens_per_second=value, **facts) for name in ("concurrency=1", "concurrency=4")
            ]
            document = Document(**told, state="complete", points=tuple(points))
        out = launch.directory / "out"
        out.mkdir(parents=True, exist_ok=True)
        (out / "metrics.json").write_bytes(msgspec.json.encode(document))
        self.rig.driver.finish(
            launch.attempt, outcome or (FAILURE if value is None else Outcome(OutcomeKind.SUCCESS, 0))
        )

    async def to_the_end(self, value: Callable[[Order], float | None]) -> None:
        """Let every trial end with the value of its order, until no other comes."""
        over = asyncio.ensure_future(self.rig.engine.wait_source(self.run))
        while not over.done():
            for number, launch in sorted(self.live.items()):
                self.end(number, value(order_of(launch)))
            await self.rig.heard()
        await over

    def trials(self) -> tuple[Trial, ...]:
        """What the store holds."""
        return trials_of(self.rig.store.reader(), self.study.id)

    def standing(self) -> Standing:
        """How the study stands."""
        return standing_of(self.rig.store.reader(), self.study, run=self.run)

    def source(self) -> SourceView:
        """The source of the run."""
        found = self.rig.store.reader().source(self.run)
        assert found is not None
        return found


def order_of(launch: Launch) -> Order:
    """What a trial was told."""
    return msgspec.json.decode(launch.environment[ORDER], type=Order)
