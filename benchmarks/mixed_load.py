"""`python -m benchmarks.mixed_load`: the mixed load of naps through the real engine, beside what is possible.

4 virtual GPUs, 8 CPUs and 200 times `sleep` for 10 to 200 ms, submitted at once in a random order: 40 % ask for one
GPU, 10 % for four, 50 % for none. Three ways: as it comes; with time limits of 250 ms more than they take; and with
the tasks that ask for more GPUs ranked first, as a sweep may say. The makespan goes from the submission to the last
end, over the lower bound; a wait goes from the submission to the start. Beside each: the same seed under ideal
policies without any overhead, and under our kernel alone, so that what the policy costs and what the engine costs are
told apart.
"""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from passloop.store.home import Home
from passloop.store.reader import Reader

from .support.box import Box, opened
from .support.machine import common_options, described, fsync_us, spread, write_results
from .support.naps import CPUS, GPUS, Nap, ideals, kernel_alone, lower_bound, naps, wire_tasks
from .support.submissions import body_of

WAYS = ("plain", "limits", "largest")
SLEEP = shutil.which("sleep") or "/bin/sleep"


class Figures(NamedTuple):
    """`over_bound`: makespan over the lower bound; waits of four-GPU tasks as a part of the makespan."""

    over_bound: float
    worst_wait: float
    median_wait: float


def figures_of(load: Sequence[Nap], starts: Sequence[float], makespan: float) -> Figures:
    """The figures of one run, times in ms since the submission."""
    waits = [start for nap, start in zip(load, starts, strict=True) if nap.gpus == GPUS]
    return Figures(makespan / lower_bound(load), max(waits) / makespan, statistics.median(waits) / makespan)


def of_starts(load: Sequence[Nap], starts: Sequence[int]) -> Figures:
    """The figures of a simulation."""
    ends = [start + nap.millis for nap, start in zip(load, starts, strict=True)]
    return figures_of(load, starts, max(ends))


def through_engine(folder: Path | None, load: Sequence[Nap], how: str) -> tuple[Figures, float]:
    """The figures of a real run, and the median of what an attempt took beside its nap, in ms."""
    with opened(folder, cpus=CPUS, gpus=f"{GPUS}x80GiB") as box:
        box.wait(box.submit(body_of(wire_tasks([Nap(0, 10)] * 4, sleep, "plain")))["run"]["id"])
        run = box.submit(body_of(wire_tasks(load, sleep, how)))["run"]["id"]
        ended = box.wait(run)
        wrong = [task for task in ended if task["state"] != "succeeded"]
        assert not wrong, wrong
        return measured(box, run, load)


def sleep(nap: Nap) -> tuple[str, ...]:
    """The command of one nap."""
    return (SLEEP, f"{nap.millis / 1000:.3f}")


def measured(box: Box, run: int, load: Sequence[Nap]) -> tuple[Figures, float]:
    """What the store holds of a run that is over."""
    with Reader.open(Home(box.home)) as reader:
        view = reader.run(str(run))
        attempts = sorted(reader.run_attempts(run), key=lambda one: one.task)
    assert view is not None
    assert len(attempts) == len(load)
    begin = view.row.submitted_at
    starts = [(one.started_at or 0) - begin for one in attempts]
    ends = [(one.ended_at or 0) - begin for one in attempts]
    beside = [(one.ended_at or 0) - one.admitted_at - nap.millis for one, nap in zip(attempts, load, strict=True)]
    return figures_of(load, starts, max(ends)), statistics.median(beside)


def told(runs: Sequence[Figures]) -> dict[str, object]:
    """Spread of each figure over the runs."""
    return {name: spread([getattr(one, name) for one in runs]) for name in Figures._fields}


def main() -> None:
    """Simulate, measure in turns, print, write."""
    parser = common_options(__doc__, rounds=3)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    real: dict[str, list[Figures]] = {way: [] for way in WAYS}
    beside: dict[str, list[float]] = {way: [] for way in WAYS}
    possible: dict[str, list[Figures]] = {}
    for seed in range(options.seeds):
        load = naps(seed)
        simulations = ideals(load) | {f"kernel alone, {way}": kernel_alone(load, way) for way in WAYS}
        for name, starts in simulations.items():
            possible.setdefault(name, []).append(of_starts(load, starts))
        for _ in range(options.rounds):
            for way in WAYS:
                figures, extra = through_engine(options.folder, load, way)
                real[way].append(figures)
                beside[way].append(extra)
                print(f"seed {seed}, {way}: {figures}, {extra} ms beside the nap", flush=True)
    place = options.folder or Path("/tmp")
    results: dict[str, object] = {
        "machine": described(place),
        "seeds": options.seeds,
        "simulated": {name: told(runs) for name, runs in possible.items()},
        "real": {way: told(runs) for way, runs in real.items()},
        "ms_beside_the_nap": {way: spread(values, 1) for way, values in beside.items()},
        "fsync_us": fsync_us(place),
    }
    write_results("mixed_load", results, dry_run=options.dry_run)


if __name__ == "__main__":
    main()
