"""A function that does nothing, for calls whose own cost is measured; and two ways to call it that know no queue."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

__all__ = ["fresh_processes", "nothing", "process_pool"]

ROOT = Path(__file__).resolve().parents[2]


def nothing(_number: int = 0) -> None:
    """Return nothing."""


def process_pool(count: int, workers: int) -> float:
    """Calls a second of the standard library's pool, nothing durable; its workers are up before."""
    with ProcessPoolExecutor(workers) as pool:
        list(pool.map(nothing, range(workers * 4)))
        began = time.perf_counter()
        for done in [pool.submit(nothing, number) for number in range(count)]:
            done.result()
        return count / (time.perf_counter() - began)


def fresh_processes(count: int) -> float:
    """Calls a second with a fresh interpreter for each, one after the other."""
    began = time.perf_counter()
    for number in range(count):
        code = f"from benchmarks.peers.nothing import nothing; nothing({number})"
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    return count / (time.perf_counter() - began)
