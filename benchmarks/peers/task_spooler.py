"""task-spooler (`tsp`): its server in memory, one client process for every queued task."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

from benchmarks.support.submissions import TRUE

__all__ = ["absent", "task_spooler"]

MOST_CONNECTIONS = "100"


def absent() -> str:
    """Why it cannot be measured here; empty if it can."""
    return "" if shutil.which("tsp") else "no tsp here (Debian and Ubuntu: apt-get install task-spooler)"


def task_spooler(count: int, outstanding: int, folder: Path) -> float:
    """Milliseconds a task from the first submit to the last end, nothing kept of the output."""
    environment = {
        **os.environ,
        "TS_SOCKET": str(folder / "tsp"),
        "TMPDIR": str(folder),
        "TS_MAXCONN": MOST_CONNECTIONS,
        "TS_MAXFINISHED": str(count + 10),
    }
    _tsp(environment, "-S", str(outstanding))
    try:
        began = time.perf_counter()
        for _ in range(count):
            _tsp(environment, "-n", TRUE)
        for number in range(count - outstanding, count):
            _tsp(environment, "-w", str(number))
        return (time.perf_counter() - began) * 1e3 / count
    finally:
        _tsp(environment, "-K")


def _tsp(environment: dict[str, str], *words: str) -> None:
    subprocess.run(["tsp", *words], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
