"""Makes the golden stores of the present schema: `python -m tests.support.golden`. Those of older schemas are kept.

A real engine fills them, with a scripted driver and a fake clock, so that every table has rows and a machine can go on
from them: one as a day of use leaves it, one with work that is written out unit by unit. They are made once for each
schema version and never again: they stand for the stores that users have. Those with units of schemas 2 and 3 were made
later, by `build_units` with the code that stood before the step to the next schema (407c8a7^, 4cb6d06^).
"""

from __future__ import annotations

import asyncio
import lzma
import tempfile
from dataclasses import replace
from pathlib import Path

from passloop.engine.attempts import attempt_folder
from passloop.engine.expanding import ExpandAsk, Expansion
from passloop.kernel.events import GroupHeld, PoolDeclared, PoolKind, SourceDeclared
from passloop.kernel.ids import PoolName, RunId, TaskId
from passloop.kernel.source_rows import SourcePlan, TemplateNode
from passloop.kernel.tasks import Dependency, NewTask, Outcome, OutcomeKind, RetryBudgets
from passloop.store.migrate import latest_version
from passloop.store.samples import Sample

from .engines import Rig, commands, one_cpu

__all__ = ["DAY", "GOLDEN", "UNITS", "UNITS_SINCE", "golden_file", "scenes", "unpack"]

GOLDEN = Path(__file__).parents[1] / "golden"
ENVIRONMENT = ("e1", '{"PATH":"/usr/bin","NAME":"näher"}')


DAY, UNITS = "", "_units"
UNITS_SINCE = 2
"""The schema that brought sources."""


def scenes(version: int) -> tuple[str, ...]:
    """The golden stores that a schema version has."""
    return (DAY, UNITS) if version >= UNITS_SINCE else (DAY,)


def golden_file(version: int, scene: str = DAY) -> Path:
    """A golden store of a schema version."""
    return GOLDEN / f"schema_{version:04}{scene}.sqlite.xz"


def unpack(version: int, target: Path, scene: str = DAY) -> None:
    """Write a golden store of a schema version to `target`."""
    target.write_bytes(lzma.decompress(golden_file(version, scene).read_bytes()))


async def build(folder: Path) -> Path:
    """Fill a store as a day of use would: 1 succeeded, 2 failed, 3 and 4 run, 5 waits for 4, 6 backs off, 7 and 8 are
    held.
    """
    rig = Rig(folder, cpus=4)
    engine = rig.open()
    await engine.start()
    await engine.submit(commands(2, name="first"), environments=(ENVIRONMENT,))
    out = attempt_folder(rig.home, RunId(1), TaskId(1), 1) / "out"
    out.mkdir(parents=True)
    (out / "metrics.json").write_text('{"accuracy": 0.5}')
    rig.driver.finish_task(1, Outcome(OutcomeKind.SUCCESS, 0))
    rig.driver.finish_task(2, Outcome(OutcomeKind.FAILURE, 3, message="exit code 3"))
    await rig.heard()
    rig.clock.advance(5_000)
    waiting = NewTask(spec=one_cpu(), payload='{"command":["late"]}', index=1, after=(Dependency(-1),))
    await engine.submit(commands(1, name="chain", spec=one_cpu(task_class="train", program="t.py"), key="a/b"))
    chain = commands(1, name="chain")
    await engine.submit(type(chain)(name="chain", tasks=(*chain.tasks, waiting), group="night"))
    await engine.submit(commands(1, name="again", spec=one_cpu(retries=RetryBudgets(failure=3))))
    await rig.heard()
    rig.driver.finish_task(6, Outcome(OutcomeKind.FAILURE, 1, message="näher \u202e"))
    await engine.send(PoolDeclared(PoolName("licence"), PoolKind.AMOUNT, 3))
    await engine.submit(commands(2, name="later", held=True))
    await engine.send(GroupHeld("quiet"))
    await rig.heard()
    await engine.writer.run(lambda store: store.record_samples([Sample(1, 1_000, "GPU-0", 50, 1_024, 300_000)]))
    await rig.close()
    return rig.home.database


class Writer:
    """Gives two units of two tasks each, and is still at the third."""

    def __init__(self) -> None:
        self.third = asyncio.Event()

    async def expand(self, ask: ExpandAsk) -> Expansion:
        """The unit asked for, unless it is the third."""
        if ask.unit == 2:
            self.third.set()
            await asyncio.Event().wait()
        tasks = commands(2, spec=one_cpu()).tasks
        return Expansion(tuple(replace(task, index=2 * ask.unit + n) for n, task in enumerate(tasks)), bytes=4_096)


def running(rig: Rig) -> set[int]:
    return {int(order.task) for order in rig.outside.live.values()}


async def build_units(folder: Path) -> Path:
    """A run of three units: the tasks of the first succeeded, those of the second run, the third is asked for."""
    rig, writer = Rig(folder, cpus=2), Writer()
    engine = rig.open()
    engine.expansions.register("scripted", writer)
    await engine.start()
    await engine.send(PoolDeclared(PoolName("model"), PoolKind.LIMIT, 4))
    plan = SourcePlan((TemplateNode(one_cpu().request, completes=True),), units=3, tasks=6)
    own = tuple(f'["unit {unit}"]' for unit in range(3))
    about = '{"kind": "x"}'
    await engine.send(SourceDeclared("matrix", "scripted", plan, spec='{"cells": 3}', about=about, unit_specs=own))
    await rig.until(lambda: running(rig) == {1, 2})
    for task in (1, 2):
        rig.driver.finish_task(task, Outcome(OutcomeKind.SUCCESS, 0))
    async with asyncio.timeout(20):
        await writer.third.wait()
    await rig.until(lambda: running(rig) == {3, 4})
    await rig.heard()
    await rig.close()
    return rig.home.database


def main() -> None:
    """Make the files of the present schema that are not there."""
    for scene, fill in ((DAY, build), (UNITS, build_units)):
        target = golden_file(latest_version(), scene)
        if target.exists():
            print(f"{target} is there already; it is never made again")
            continue
        with tempfile.TemporaryDirectory() as folder:
            database = asyncio.run(fill(Path(folder)))
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(lzma.compress(database.read_bytes(), preset=9 | lzma.PRESET_EXTREME))
        print(f"{target}: {target.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
