"""`python -m benchmarks.true_tasks`: 500 and 5,000 times /bin/true on 2 CPUs through the real engine.

Everything is durable. From the submission over the socket to the answer that the last one is final: submit,
admission, start record, shim, exit record, proof that the tree is gone, both commits. Beside it in the same run,
taken in turns: `posix_spawn` and `xargs -P2` (no queue at all), task-spooler, and, where their environments are
named, gflow, Ray and HyperQueue (all of them without any durability). What an fsync costs on that disk is taken in
each round.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from .peers import gflow, task_spooler
from .peers.spawning import bare_spawn, xargs
from .support.box import Box, opened, scratch
from .support.machine import common_options, described, fsync_us, spread, write_results
from .support.submissions import true_tasks

OUTSTANDING = 2
GFLOW_TASKS = 10
"""It takes about a second a task."""

Measure = Callable[[], float]


def through_engine(count: int, folder: Path | None) -> float:
    """Milliseconds a task on a fresh home, whose daemon is up and has run a few tasks."""
    with opened(folder, cpus=OUTSTANDING) as box:
        run_through(box, 10)
        return run_through(box, count)


def run_through(box: Box, count: int) -> float:
    """Milliseconds a task from the submission to the end of the last one. All must have succeeded."""
    body = true_tasks(count)
    began = time.perf_counter()
    run = box.submit(body)["run"]["id"]
    ended = box.wait(run)
    span = time.perf_counter() - began
    wrong = [task for task in ended if task["state"] != "succeeded"]
    if wrong or len(ended) != count:
        raise RuntimeError(f"{len(ended)} of {count} tasks ended, and not well: {wrong[:3]}")
    return span * 1e3 / count


def through_task_spooler(count: int, folder: Path | None) -> float:
    """Milliseconds a task for task-spooler."""
    with scratch(folder) as place:
        return task_spooler.task_spooler(count, OUTSTANDING, place)


def through_gflow(binaries: Path, folder: Path | None) -> float:
    """Milliseconds a task for gflow, of a few."""
    with scratch(folder) as place:
        return gflow.gflow(GFLOW_TASKS, OUTSTANDING, place, binaries)


def in_environment(python: Path, script: str, count: int) -> float:
    """Milliseconds a task for a peer that has a Python of its own."""
    path = Path(__file__).parent / "peers" / f"{script}.py"
    done = subprocess.run(
        [str(python), str(path), str(count), str(OUTSTANDING)], capture_output=True, text=True, check=True, cwd="/"
    )
    return float(done.stdout.split()[-1])


def options_of() -> argparse.Namespace:
    """The command line."""
    parser = common_options(__doc__, rounds=5)
    parser.add_argument("--counts", type=int, nargs="+", default=[500, 5_000])
    parser.add_argument("--slow-rounds", type=int, default=3, help="rounds of gflow, Ray and HyperQueue")
    parser.add_argument("--gflow", type=Path, help="the bin folder of an environment with runqd")
    parser.add_argument("--ray", type=Path, help="the Python of an environment with Ray")
    parser.add_argument("--hyperqueue", type=Path, help="the Python of an environment with HyperQueue")
    return parser.parse_args()


def quick_measures(options: argparse.Namespace, count: int) -> dict[str, Measure]:
    """What is measured in each round."""
    measures: dict[str, Measure] = {
        f"passloop_{count}": partial(through_engine, count, options.folder),
        f"posix_spawn_{count}": partial(bare_spawn, count, OUTSTANDING),
        f"xargs_{count}": partial(xargs, count, OUTSTANDING),
    }
    if count <= 1_000 and not task_spooler.absent():
        measures[f"task_spooler_{count}"] = partial(through_task_spooler, count, options.folder)
    return measures


def slow_measures(options: argparse.Namespace) -> tuple[dict[str, Measure], dict[str, str]]:
    """Peers that take long to start or to run, and why others are left out."""
    measures: dict[str, Measure] = {}
    left_out = {"task_spooler": task_spooler.absent(), "gflow": gflow.absent(options.gflow)}
    if not left_out["gflow"]:
        measures[f"gflow_{GFLOW_TASKS}"] = partial(through_gflow, options.gflow, options.folder)
    for name in ("ray", "hyperqueue"):
        python = getattr(options, name)
        left_out[name] = "" if python is not None else f"no environment named by --{name}"
        if python is not None:
            measures |= {
                f"{name}_{count}": partial(in_environment, python, f"in_{name}", count) for count in options.counts
            }
    return measures, {name: why for name, why in left_out.items() if why}


def main() -> None:
    """Measure in turns, print, write."""
    options = options_of()
    taken: dict[str, list[float]] = {}
    fsyncs: list[float] = []
    slow, left_out = slow_measures(options)
    if slow:
        slow = {f"passloop_{options.counts[0]}": partial(through_engine, options.counts[0], options.folder)} | slow
    with scratch(options.folder) as disk:
        for index in range(options.rounds):
            fsyncs.append(fsync_us(disk))
            for count in options.counts:
                take(quick_measures(options, count), taken)
            if index < options.slow_rounds:
                take(slow, taken)
        about = described(disk)
    figures = {
        "machine": about,
        "outstanding": OUTSTANDING,
        "ms_a_task": {name: spread(values) for name, values in taken.items()},
        "fsync_us": spread(fsyncs, 1),
        "ratios": {f"passloop / xargs, {count}": ratio(taken, count) for count in options.counts},
        "left_out": left_out,
    }
    write_results("true_tasks", figures, dry_run=options.dry_run)


def take(measures: dict[str, Measure], taken: dict[str, list[float]]) -> None:
    """Measure each once."""
    for name, measure in measures.items():
        taken.setdefault(name, []).append(measure())
        print(f"{name}: {taken[name][-1]:.3f} ms a task", flush=True)


def ratio(taken: dict[str, list[float]], count: int) -> float:
    """The median of the ratios within the rounds."""
    pairs = zip(taken[f"passloop_{count}"], taken[f"xargs_{count}"], strict=False)
    return round(statistics.median(ours / theirs for ours, theirs in pairs), 2)


if __name__ == "__main__":
    main()
