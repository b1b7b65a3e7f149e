"""`python -m benchmarks.one_submit`: what a single command costs a person who types it.

One `passloop submit -- true` to a running daemon, from the start of the process to its end, by when the task is on the
disk; `--help`; and `ls` of 1,000 tasks. Beside each, in turns, the bare interpreter (`python -c pass`): the cost of a
command is what it takes beside that.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import partial

from .support.box import Box, opened, program
from .support.machine import common_options, described, fsync_us, spread, write_results
from .support.submissions import TRUE, true_tasks

LISTED = 1_000


def wall_ms(box: Box, words: Sequence[str]) -> float:
    """Milliseconds of one command from its start to its end."""
    began = time.perf_counter()
    subprocess.run(
        words, env=box.environment, cwd=box.folder, capture_output=True, stdin=subprocess.DEVNULL, check=True
    )
    return (time.perf_counter() - began) * 1e3


def main() -> None:
    """Measure in turns, print, write."""
    options = common_options(__doc__, rounds=40).parse_args()
    with opened(options.folder, cpus=2) as box:
        box.submit(true_tasks(LISTED, held=True))
        commands = {
            "interpreter": [sys.executable, "-c", "pass"],
            "submit": [*program(), "submit", "--", TRUE],
            "interpreter_again": [sys.executable, "-c", "pass"],
            "help": [*program(), "--help"],
            "ls": [*program(), "ls"],
            "ls_json": [*program(), "ls", "--json"],
        }
        taken: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(options.rounds):
            for name, words in commands.items():
                taken[name].append(wall_ms(box, words))
        listed = wall_ms_of_request(box)
        figures = {
            "machine": described(box.folder),
            "ms": {name: spread(values, 1) for name, values in taken.items()},
            "ms_beside_the_interpreter": {
                name: round(statistics.median(map(beside, taken[name], taken["interpreter"])), 1)
                for name in ("submit", "help", "ls", "ls_json", "interpreter_again")
            },
            "ms_of_the_request_alone": listed,
            "fsync_us": fsync_us(box.folder),
        }
    write_results("one_submit", figures, dry_run=options.dry_run)


def beside(whole: float, interpreter: float) -> float:
    """What a command takes beside the interpreter's start."""
    return whole - interpreter


def wall_ms_of_request(box: Box, rounds: int = 20) -> dict[str, dict[str, float]]:
    """Milliseconds of the requests that those commands make, from a client that is up already."""
    asks = {"submit": partial(box.submit, true_tasks(1)), "ls": partial(box.client.get, "/tasks")}
    taken: dict[str, list[float]] = {name: [] for name in asks}
    for _ in range(rounds):
        for name, ask in asks.items():
            began = time.perf_counter()
            ask()
            taken[name].append((time.perf_counter() - began) * 1e3)
    return {name: spread(values, 2) for name, values in taken.items()}


if __name__ == "__main__":
    main()
