"""What a figure must be read beside: the machine, the versions and the disk; and where results are written.

It measures the disk, never passloop.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import apsw
import psutil

__all__ = ["RESULTS", "common_options", "described", "fsync_us", "spread", "write_results"]

RESULTS = Path(__file__).resolve().parents[1] / "results"
PROBES = 50


def spread(values: Sequence[float], digits: int = 3) -> dict[str, float]:
    """Median, least and most of some runs, and how many there were."""
    return {
        "median": round(statistics.median(values), digits),
        "least": round(min(values), digits),
        "most": round(max(values), digits),
        "runs": len(values),
    }


def fsync_us(folder: Path) -> float:
    """Median microseconds of an fsync after 4 KiB were appended to a file in `folder`."""
    spans = []
    path = folder / "fsync-probe"
    with path.open("wb", buffering=0) as file:
        for _ in range(PROBES):
            file.write(b"x" * 4096)
            began = time.perf_counter()
            os.fsync(file.fileno())
            spans.append(time.perf_counter() - began)
    path.unlink()
    return round(statistics.median(spans) * 1e6, 1)


def described(folder: Path) -> dict[str, object]:
    """The machine, the file system of `folder` and the versions, as plain data."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "cpu": _cpu_model(),
        "cpus": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "file_system": _file_system(folder),
        "linux": platform.release(),
        "python": platform.python_version(),
        "sqlite": apsw.sqlite_lib_version(),
        "passloop": version("passloop"),
        "commit": _commit(),
        "load_1m": round(os.getloadavg()[0], 2),
    }


def common_options(description: str | None, *, rounds: int) -> argparse.ArgumentParser:
    """A parser with the options that every benchmark has."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--folder", type=Path, help="an existing folder on the disk to measure")
    parser.add_argument("--dry-run", action="store_true", help="print only, write nothing")
    return parser


def write_results(name: str, figures: dict[str, object], *, dry_run: bool) -> None:
    """Print the figures of one benchmark, and keep them in `results/NAME.json` unless it is a dry run."""
    text = json.dumps(figures, indent=1) + "\n"
    print(text, end="")
    if not dry_run:
        (RESULTS / f"{name}.json").write_text(text, encoding="utf-8")


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _file_system(folder: Path) -> str:
    place = str(folder.resolve())
    mounts = [part for part in psutil.disk_partitions(all=True) if place.startswith(part.mountpoint)]
    return max(mounts, key=lambda part: len(part.mountpoint)).fstype if mounts else "unknown"


def _commit() -> str:
    """The commit that was measured, with a + if tracked source was changed after it; empty without git."""
    root = RESULTS.parents[1]
    try:
        name = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=root, capture_output=True, text=True)
        changed = subprocess.run(["git", "diff", "--quiet", "HEAD", "--", "src"], cwd=root, capture_output=True)
    except FileNotFoundError:
        return ""
    return name.stdout.strip() + ("+" if changed.returncode == 1 else "")
