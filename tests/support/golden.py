"""Makes the golden store of the present schema: `python -m tests.support.golden`. Those of older schemas are kept.

A real engine fills it, with a scripted driver and a fake clock, so that every table has rows and a machine can go on
from them. It is made once for each schema version and never again: it stands for the stores that users have.
"""

from __future__ import annotations

import asyncio
import lzma
import tempfile
from pathlib import Path

from passloop.engine.attempts import attempt_folder
from passloop.kernel.events import GroupHeld, PoolDeclared, PoolKind
from passloop.kernel.ids import PoolName, RunId, TaskId
from passloop.kernel.tasks import Dependency, NewTask, Outcome, OutcomeKind, RetryBudgets
from passloop.store.migrate import latest_version
from passloop.store.samples import Sample

from .engines import Rig, commands, one_cpu

__all__ = ["GOLDEN", "golden_file", "unpack"]

GOLDEN = Path(__file__).parents[1] / "golden"
ENVIRONMENT = ("e1", '{"PATH":"/usr/bin","NAME":"näher"}')


def golden_file(version: int) -> Path:
    """The golden store of a schema version."""
    return GOLDEN / f"schema_{version:04}.sqlite.xz"


def unpack(version: int, target: Path) -> None:
    """Write the golden store of a schema version to `target`."""
    target.write_bytes(lzma.decompress(golden_file(version).read_bytes()))


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


def main() -> None:
    """Make the file of the present schema, unless it is there."""
    target = golden_file(latest_version())
    if target.exists():
        raise SystemExit(f"{target} is there already; it is never made again")
    with tempfile.TemporaryDirectory() as folder:
        database = asyncio.run(build(Path(folder)))
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(lzma.compress(database.read_bytes(), preset=9 | lzma.PRESET_EXTREME))
    print(f"{target}: {target.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
