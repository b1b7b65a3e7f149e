"""Run by a Python that has HyperQueue: `python in_hyperqueue.py COUNT OUTSTANDING` prints ms a task.

Server and worker of the wheel are in this process and keep no journal. Imports nothing of ours.
"""

from __future__ import annotations

import sys
import tempfile
import time

from hyperqueue import Job, LocalCluster
from hyperqueue.cluster import WorkerConfig


def main(count: int, outstanding: int) -> None:
    """Start a cluster of `outstanding` CPUs, warm it, measure."""
    with tempfile.TemporaryDirectory() as folder, LocalCluster(folder, WorkerConfig(cores=outstanding)) as cluster:
        client = cluster.client()
        _run(client, outstanding * 10)
        began = time.perf_counter()
        _run(client, count)
        print((time.perf_counter() - began) * 1e3 / count)


def _run(client: object, count: int) -> None:
    work = Job()
    for _ in range(count):
        work.program(["/bin/true"], stdout=None, stderr=None)
    client.wait_for_jobs([client.submit(work)])  # type: ignore[attr-defined]


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
