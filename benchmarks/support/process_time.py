"""What a process and everything below it has used of the CPUs, from /proc. Reads only."""

from __future__ import annotations

import os
from pathlib import Path

import psutil

__all__ = ["cpu_ms", "tree_cpu_ms"]


def cpu_ms(pid: int) -> float:
    """CPU time of all live threads of one process in ms, exact to the scheduler's clock; in ticks without that."""
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e6
    except FileNotFoundError:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


def tree_cpu_ms(pid: int) -> dict[str, float]:
    """CPU time in ms of a process and of each live process below it, by `name (pid)`."""
    root = psutil.Process(pid)
    return {f"{one.name()} ({one.pid})": cpu_ms(one.pid) for one in (root, *root.children(recursive=True))}
