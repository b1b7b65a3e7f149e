"""What one `/bin/true` costs through the process driver alone, beside bare `posix_spawn` and `xargs -P` in
the same run.

python benchmarks/true_tasks_driver.py [--count 500] [--outstanding 2] [--rounds 5] [--home FOLDER]

No engine and no store: launch, shim, both records, both reports, proof that the tree is gone. Prints the
median and the least wall time per task in microseconds over the rounds, and what an fsync costs on that disk.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from passloop.drivers.base import Launch
from passloop.drivers.processes.driver import ProcessDriver
from passloop.kernel.events import Event, Exited
from passloop.kernel.ids import AttemptId, RunId, TaskId
from passloop.kernel.resources import Allocation
from passloop.kernel.tasks import OutcomeKind

TRUE = shutil.which("true") or "/bin/true"


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


async def through_driver(home: Path, *, count: int, outstanding: int, rounds: int) -> list[float]:
    """Seconds per task of each round through one driver."""
    driver = ProcessDriver(home)
    feeder = Feeder(driver, home)
    await driver.start(feeder.hear)
    await feeder.run(count=outstanding, outstanding=outstanding)
    spans = [await feeder.run(count=count, outstanding=outstanding) / count for _ in range(rounds)]
    await driver.stop()
    return spans


def bare_spawn(*, count: int, outstanding: int) -> float:
    """Seconds per task for `posix_spawn` and `wait` alone."""
    began = time.perf_counter()
    running = 0
    for _ in range(count):
        if running == outstanding:
            os.wait()
            running -= 1
        os.posix_spawn(TRUE, [TRUE], os.environ)
        running += 1
    for _ in range(running):
        os.wait()
    return (time.perf_counter() - began) / count


def xargs(*, count: int, outstanding: int) -> float:
    """Seconds per task for `xargs -P`."""
    lines = "\n".join(str(number) for number in range(count))
    began = time.perf_counter()
    subprocess.run(["xargs", f"-P{outstanding}", "-n1", TRUE], input=lines, text=True, check=True)
    return (time.perf_counter() - began) / count


def fsync_cost(home: Path) -> float:
    """Median seconds of an fsync after a 4 KiB write."""
    spans = []
    with (home / "probe").open("wb", buffering=0) as file:
        for _ in range(50):
            file.write(b"x" * 4096)
            began = time.perf_counter()
            os.fsync(file.fileno())
            spans.append(time.perf_counter() - began)
    return statistics.median(spans)


def measured(spans: list[float]) -> dict[str, float]:
    """Median and least of `spans` in microseconds."""
    return {"median_us": round(statistics.median(spans) * 1e6, 1), "least_us": round(min(spans) * 1e6, 1)}


def repeat(measure: Callable[[], float], rounds: int) -> list[float]:
    """`measure` taken `rounds` times."""
    return [measure() for _ in range(rounds)]


def main() -> None:
    """Measure and print one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--outstanding", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--home", type=Path, help="an existing folder on the disk to measure")
    options = parser.parse_args()
    sizes = {"count": options.count, "outstanding": options.outstanding}
    with tempfile.TemporaryDirectory(dir=options.home) as folder:
        home = Path(folder)
        spans = asyncio.run(through_driver(home, rounds=options.rounds, **sizes))
        result = {
            "sizes": sizes | {"rounds": options.rounds},
            "driver": measured(spans),
            "posix_spawn": measured(repeat(lambda: bare_spawn(**sizes), options.rounds)),
            "xargs": measured(repeat(lambda: xargs(**sizes), options.rounds)),
            "fsync_us": round(fsync_cost(home) * 1e6, 1),
            "machine": {
                "cpus": os.cpu_count(),
                "python": platform.python_version(),
                "kernel": platform.release(),
            },
        }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
