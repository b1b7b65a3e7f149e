"""`python -m benchmarks.idle`: what an engine costs that has nothing to do, and how soon it acts when it has.

Idle: 1,000 tasks wait for the one GPU that a sleeping task holds. For 30 s nothing is asked; then passes and turns of
the engine must be what they were, and its CPU time, with that of every process below it, is read from /proc.

Release to start: 100 tasks for that GPU one after the other, before 1,000 more that wait. Each prints the time as the
first and the last thing it does, so the gap between the last word of one and the first word of the next holds
everything: the end of the process, the proof that its tree is gone, both records, the commit, the decision, the
launch, and the start of `sh` and `date` (which is given beside it).
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import time
from itertools import pairwise
from pathlib import Path

from passloop.apps.queue.wire import WireTask

from .support.box import Box, opened
from .support.machine import common_options, described, fsync_us, spread, write_results
from .support.process_time import tree_cpu_ms
from .support.submissions import TRUE, body_of, one_cpu

WAITING = 1_000
CHAIN = 100
STAMPS = ["sh", "-c", "date +%s%N; sleep 0.02; date +%s%N"]
ONE_GPU = one_cpu(gpus=1)


def for_the_gpu(command: list[str], count: int) -> bytes:
    """`count` tasks for the one GPU."""
    words = (*[shutil.which(command[0]) or command[0]], *command[1:])
    return body_of(WireTask(words, index=index, spec=ONE_GPU) for index in range(count))


def idle(box: Box, seconds: float) -> dict[str, object]:
    """Passes, turns and CPU time over a span in which nothing happens."""
    box.submit(for_the_gpu(["sleep", "10000"], 1))
    box.submit(for_the_gpu([TRUE], WAITING))
    time.sleep(2)  # a start's own echoes
    before = box.engine()
    time.sleep(1)
    cpu = tree_cpu_ms(box.pid)
    time.sleep(seconds)
    used = {name: value - cpu.get(name, 0.0) for name, value in tree_cpu_ms(box.pid).items()}
    after = box.engine()
    return {
        "seconds": seconds,
        "waiting": after["counts"]["ready"],
        "passes": after["passes"] - before["passes"],
        "turns": after["turns"] - before["turns"],
        "cpu_percent_of_a_core": round(sum(used.values()) / seconds / 10, 4),
        "cpu_ms_by_process": {name: round(value, 3) for name, value in used.items()},
    }


def release_to_start(box: Box) -> dict[str, object]:
    """The gaps between the tasks of a chain, in ms."""
    run = box.submit(for_the_gpu(STAMPS, CHAIN))["run"]["id"]
    waiting = box.submit(for_the_gpu(["sleep", "10000"], WAITING))["run"]["id"]
    box.wait(run)
    stamps = [stamps_of(path) for path in sorted((box.home / "runs" / str(run)).glob("*/1/stdout.log"), key=task_of)]
    box.command("cancel", f"run:{waiting}")
    assert len(stamps) == CHAIN
    gaps = [(first - last) / 1e6 for (_, last), (first, _) in pairwise(stamps)]
    return {
        "gap_ms": spread(gaps, 2),
        "gap_ms_p95": round(statistics.quantiles(gaps, n=20)[-1], 2),
        "of_it_ms_to_start_sh_and_date": spread([shell_start() for _ in range(30)], 2),
    }


def stamps_of(path: Path) -> tuple[int, int]:
    """The first and the last time a task printed, in ns."""
    first, last = path.read_text().split()
    return int(first), int(last)


def task_of(path: Path) -> int:
    """The task whose log that is."""
    return int(path.parts[-3])


def shell_start() -> float:
    """Milliseconds from here to the first time such a task would print, and its process started from here."""
    began = time.time_ns()
    said = subprocess.run(["sh", "-c", "date +%s%N; :"], capture_output=True, text=True, check=True)
    return (int(said.stdout) - began) / 1e6


def main() -> None:
    """Measure, print, write."""
    parser = common_options(__doc__, rounds=1)
    parser.add_argument("--seconds", type=float, default=30)
    options = parser.parse_args()
    with opened(options.folder, cpus=4, gpus="1x80GiB") as box:
        latency = release_to_start(box)
        figures: dict[str, object] = {"machine": described(box.folder), "fsync_us": fsync_us(box.folder)}
    with opened(options.folder, cpus=4, gpus="1x80GiB") as box:
        figures |= {"idle": idle(box, options.seconds), "release_to_start": latency}
    write_results("idle", figures, dry_run=options.dry_run)


if __name__ == "__main__":
    main()
