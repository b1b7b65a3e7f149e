"""Run by a Python that has Ray: `python in_ray.py COUNT OUTSTANDING` prints ms a task.

Each task is a Ray task that runs /bin/true; the workers are up before the clock starts. Imports nothing of ours.
"""

from __future__ import annotations

import subprocess
import sys
import time

import ray


@ray.remote
def one() -> int:
    """One /bin/true."""
    return subprocess.run(["/bin/true"]).returncode


def main(count: int, outstanding: int) -> None:
    """Start a cluster of `outstanding` CPUs, warm it, measure."""
    ray.init(num_cpus=outstanding, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    ray.get([one.remote() for _ in range(outstanding * 10)])
    began = time.perf_counter()
    ray.get([one.remote() for _ in range(count)])
    print((time.perf_counter() - began) * 1e3 / count)
    ray.shutdown()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
