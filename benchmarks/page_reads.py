"""`python -m benchmarks.page_reads`: what the page asks of an engine with 100,000 ended tasks and 10,000 queued.

Each question goes over TCP with the token, on a connection of its own, as a browser's first does; a question that
counts states with SQLite alone, in this process, stands beside them. The goals: first rows under 1 s, a filter under
300 ms.
"""

from __future__ import annotations

import http.client
import json
import statistics
import time
from pathlib import Path

from tests.support.filled_home import fill

from passloop.store.home import Home
from passloop.store.reader import Reader

from .support.box import Box, scratch
from .support.machine import common_options, described, fsync_us, spread, write_results

DONE, QUEUED = 100_000, 10_000
WEEK_MS = 7 * 86_400_000
QUESTIONS = {
    "first_rows": "/api/v1/table?limit=100",
    "last_rows": f"/api/v1/table?limit=100&offset={DONE + QUEUED - 100}",
    "one_state": "/api/v1/table?state=ready&offset=5000",
    "one_run": "/api/v1/table?run=50",
    "text_found_once": "/api/v1/table?text=99999",
    "text_found_everywhere": "/api/v1/table?text=train",
    "text_found_nowhere": "/api/v1/table?text=nowhere",
    "ended_last": "/api/v1/table?sort=ended",
    "groups": "/api/v1/groups",
    "now": "/api/v1/now",
    "hour": "/api/v1/timeline",
    "all_time": "/api/v1/timeline?from=0&to=4000000000000",
    "runs": "/api/v1/runs?limit=50",
    "task": "/api/v1/tasks/50000",
    "metrics": "/metrics",
}


class Asked:
    """A browser's side of the page."""

    def __init__(self, box: Box) -> None:
        self._port = int(str(box.engine()["page"]).rpartition(":")[2])
        self._token = (box.home / "token").read_text().strip()

    def took_ms(self, path: str) -> float:
        """Milliseconds from the connection to the last byte."""
        began = time.perf_counter()
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        connection.request("GET", path, headers={"Authorization": f"Bearer {self._token}"})
        reply = connection.getresponse()
        data = reply.read()
        connection.close()
        if reply.status != 200:
            raise RuntimeError(f"{path}: {reply.status} {data[:200]!r}")
        return (time.perf_counter() - began) * 1e3


def counted_ms(home: Path) -> float:
    """Milliseconds in which SQLite counts all states, from a connection that is open."""
    with Reader.open(Home(home)) as reader:
        began = time.perf_counter()
        reader.counts()
        return (time.perf_counter() - began) * 1e3


def main() -> None:
    """Measure in turns, print, write."""
    options = common_options(__doc__, rounds=10).parse_args()
    with scratch(options.folder) as folder:
        fill(folder / "home", done=DONE, queued=QUEUED)
        box = Box(folder, cpus=2, gpus="1x80GiB")
        began = time.perf_counter()
        box.up()
        up_ms = (time.perf_counter() - began) * 1e3
        try:
            asked = Asked(box)
            taken: dict[str, list[float]] = {name: [] for name in (*QUESTIONS, "sqlite_counts")}
            for _ in range(options.rounds):
                for name, path in QUESTIONS.items():
                    taken[name].append(asked.took_ms(path))
                taken["sqlite_counts"].append(counted_ms(box.home))
            figures = {
                "machine": described(folder),
                "tasks": {"done": DONE, "queued": QUEUED},
                "up_ms": round(up_ms),
                "ms": {name: spread(values, 1) for name, values in taken.items()},
                "worst_median_ms": round(max(statistics.median(values) for values in taken.values()), 1),
                "fsync_us": fsync_us(folder),
            }
        finally:
            box.down()
    write_results("page_reads", figures, dry_run=options.dry_run)
    print(json.dumps(figures["ms"], indent=1))


if __name__ == "__main__":
    main()
