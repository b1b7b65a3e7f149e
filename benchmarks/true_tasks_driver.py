"""What one `/bin/true` costs through the process driver alone, beside bare `posix_spawn` and `xargs -P` in
the same run.

python -m benchmarks.true_tasks_driver [--count 500] [--outstanding 2] [--rounds 5] [--folder FOLDER]

No engine and no store: launch, shim, both records, both reports, proof that the tree is gone. Taken in turns; what an
fsync costs on that disk is taken in the same run.
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from passloop.drivers.base import Launch
from passloop.drivers.processes.driver import ProcessDriver
from passloop.kernel.events import Event, Exited
from passloop.kernel.ids import AttemptId, RunId, TaskId
from passloop.kernel.resources import Allocation
from passloop.kernel.tasks import OutcomeKind

from .peers.spawning import bare_spawn, xargs
from .support.box import scratch
from .support.machine import common_options, described, fsync_us, spread, write_results
from .support.submissions import TRUE


class Feeder:
    """Keeps `outstanding` attempts running on a driver until `count` have ended."""

    def __init__(self, driver: ProcessDriver, home: Path) -> None:
        self._driver = driver
        self._home = home
        self._next = 0
        self._ended = 0
        self._most = 0
        self._done = asyncio.Event()

    async def run(self, *, count: int, outstanding: int) -> float:
        """Seconds for `count` tasks."""
        self._most, self._ended = self._next + count, 0
        self._done.clear()
        began = time.perf_counter()
        for _ in range(outstanding):
            self._launch_next()
        await self._done.wait()
        return time.perf_counter() - began

    def hear(self, event: Event) -> None:
        """The driver's report."""
        if not isinstance(event, Exited):
            return
        assert event.outcome.kind is OutcomeKind.SUCCESS, event
        if self._next < self._most:
            self._launch_next()
        elif event.attempt == self._most or self._driver.statistics()["watched"] == 0:
            asyncio.get_running_loop().call_soon(self._check_done)

    def _check_done(self) -> None:
        if self._driver.statistics()["watched"] == 0:
            self._done.set()

    def _launch_next(self) -> None:
        self._next += 1
        number = self._next
        self._driver.launch(
            Launch(
                attempt=AttemptId(number),
                epoch=1,
                run=RunId(1),
                task=TaskId(number),
                name=f"benchmark-{number}",
                directory=self._home / "runs" / "1" / str(number) / "1",
                allocation=Allocation(variant=0),
                time_limit=None,
                grace=1000,
                payload={"command": [TRUE], "cwd": "/"},
                environment=dict(os.environ),
                environment_id="environment",
            )
        )


async def through_driver(home: Path, *, count: int, outstanding: int) -> float:
    """Milliseconds a task through one driver whose zygote and shims are up."""
    driver = ProcessDriver(home)
    feeder = Feeder(driver, home)
    await driver.start(feeder.hear)
    await feeder.run(count=outstanding, outstanding=outstanding)
    span = await feeder.run(count=count, outstanding=outstanding)
    await driver.stop()
    return span * 1e3 / count


def driver_alone(folder: Path | None, *, count: int, outstanding: int) -> float:
    """The same on a home of its own."""
    with scratch(folder) as home:
        return asyncio.run(through_driver(home, count=count, outstanding=outstanding))


def main() -> None:
    """Measure in turns, print, write."""
    parser = common_options(__doc__, rounds=5)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--outstanding", type=int, default=2)
    options = parser.parse_args()
    sizes = {"count": options.count, "outstanding": options.outstanding}
    taken: dict[str, list[float]] = {"driver": [], "posix_spawn": [], "xargs": []}
    with scratch(options.folder) as home:
        for _ in range(options.rounds):
            taken["driver"].append(driver_alone(options.folder, **sizes))
            taken["posix_spawn"].append(bare_spawn(**sizes))
            taken["xargs"].append(xargs(**sizes))
        figures = {
            "machine": described(home),
            "sizes": sizes,
            "ms_a_task": {name: spread(values) for name, values in taken.items()},
            "fsync_us": fsync_us(home),
        }
    write_results("true_tasks_driver", figures, dry_run=options.dry_run)


if __name__ == "__main__":
    main()
