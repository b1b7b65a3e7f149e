"""`python -m benchmarks.tune.client`: what the load client adds to the latencies that it measures.

A server in a process of its own keeps its own times (see `timed_server`); what the client's record has above them, it
added, the loopback and the wait for its turn included. By turns with the same client over aiohttp and, if installed,
httpx2. CPU is of the client's process. p95 of what is added to the first token, and to the whole answer, in ms.

On a machine that others use, too, latencies are theirs as well: `others` is the share of all CPUs that other processes
took meanwhile, and a measurement with more than `--calm` of it is made again, ten times at most.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import psutil

from benchmarks.support.machine import common_options, described, spread, write_results
from benchmarks.tune.transports import AIOHTTP, HTTPX2, TransportOf
from passloop.apps.statistics import percentile
from passloop.apps.tune.load.client import WARMUP, Asking, RepeatRun
from passloop.apps.tune.load.options import Options
from passloop.apps.tune.load.prompts import prompts_of
from passloop.apps.tune.load.requests import RequestRecord, Sender
from passloop.apps.tune.load.transport import Transport
from passloop.apps.tune.records import LoadOrder, Point

TOKENS = 32
POINTS = (
    Point(concurrency=1, requests=12),
    Point(concurrency=8, requests=96),
    Point(concurrency=64, requests=512),
    Point(rate=20.0, requests=160),
    Point(rate=100.0, requests=500),
)
CLIENTS: dict[str, TransportOf] = {"passloop": Transport, "aiohttp": AIOHTTP, "httpx2": HTTPX2}


AGAIN_MOST = 10


@contextmanager
def others(*own: int) -> Iterator[list[float]]:
    """The share of all CPUs that processes other than these took within the block (the list's only value)."""
    found: list[float] = []
    processes = [psutil.Process(pid) for pid in own]
    before, mine = psutil.cpu_times(), sum(sum(process.cpu_times()[:2]) for process in processes)
    yield found
    after, mine_after = psutil.cpu_times(), sum(sum(process.cpu_times()[:2]) for process in processes)
    idle = (after.idle + after.iowait) - (before.idle + before.iowait)
    total = sum(after[:8]) - sum(before[:8])
    found.append(max(0.0, total - idle - (mine_after - mine)) / total)


@contextmanager
def serving(ttft: float, itl: float) -> Iterator[tuple[str, int]]:
    """The timed server in a process of its own; its base URL and pid."""
    words = [sys.executable, "-m", "benchmarks.tune.timed_server", "--ttft", str(ttft), "--itl", str(itl)]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1", process.pid
        finally:
            process.terminate()


@contextmanager
def server(ttft: float, itl: float) -> Iterator[str]:
    """The timed server's base URL."""
    with serving(ttft, itl) as (base, _):
        yield base


async def loaded(base: str, point: Point, make: TransportOf) -> tuple[list[RequestRecord], float]:
    """The records of a point, and the CPU seconds that the client took."""
    transport = make(base)
    try:
        sender = Sender(transport, LoadOrder(max_tokens=TOKENS), Options(api="chat"), "timed")
        prompts = prompts_of("builtin:short", seed=0)
        asking = Asking(sender, prompts)
        await RepeatRun(asking, point, repeat=0, phase=WARMUP).run(first=0)
        cpu = time.process_time()
        found = await RepeatRun(asking, point, repeat=0).run(first=1)
        return list(found.records), time.process_time() - cpu
    finally:
        await transport.close()


def added(base: str, records: list[RequestRecord]) -> dict[str, list[float]]:
    """ms above the server's own times, of each request."""
    with urlopen(base.removesuffix("/v1") + "/truth") as answer:
        truth = json.load(answer)
    assert all(record.error is None for record in records), [record for record in records if record.error][:3]
    found: dict[str, list[float]] = {"ttft": [], "e2e": []}
    for record in records:
        first, last = truth[record.tokens_in or 0]
        found["ttft"].append((record.ttft or 0.0) - first)
        found["e2e"].append((record.e2e or 0.0) - last)
    return found


def measured(point: Point, make: TransportOf, *, ttft: float, itl: float) -> dict[str, float]:
    """What one client adds at one point."""
    with serving(ttft, itl) as (base, pid):
        with others(os.getpid(), pid) as share:
            records, cpu = asyncio.run(loaded(base, point, make))
        more = added(base, records)
    figures = {"cpu_ms_a_request": cpu / len(records) * 1000, "others": share[0]}
    for name, values in more.items():
        ordered = sorted(values)
        figures |= {f"{name}_{stat}": percentile(ordered, share) for stat, share in (("p50", 0.5), ("p95", 0.95))}
    return figures


def calmly(point: Point, make: TransportOf, *, ttft: float, itl: float, calm: float) -> dict[str, float]:
    """What one client adds at one point, measured again while others take too much; the calmest of those."""
    found: list[dict[str, float]] = []
    while len(found) < AGAIN_MOST and not any(one["others"] <= calm for one in found):
        found.append(measured(point, make, ttft=ttft, itl=itl))
    return min(found, key=lambda one: one["others"])


def main() -> None:
    """Measure and write down."""
    parser = common_options(__doc__, rounds=3)
    parser.add_argument("--ttft", type=float, default=50)
    parser.add_argument("--itl", type=float, default=10)
    parser.add_argument("--calm", type=float, default=1.0, help="most of all CPUs that others may take")
    given = parser.parse_args()
    clients = {name: make for name, make in CLIENTS.items() if name != "httpx2" or importlib.util.find_spec("httpx2")}
    figures: dict[str, object] = {"machine": described(Path.cwd()), "tokens": TOKENS, "itl_ms": given.itl}
    for point in POINTS:
        rounds: dict[str, list[dict[str, float]]] = {name: [] for name in clients}
        for _ in range(given.rounds):
            for name, make in clients.items():
                rounds[name].append(calmly(point, make, ttft=given.ttft, itl=given.itl, calm=given.calm))
        figures[point.name] = {
            name: {stat: spread([each[stat] for each in found]) for stat in found[0]} for name, found in rounds.items()
        }
    write_results("tune_client", figures, dry_run=given.dry_run)


if __name__ == "__main__":
    main()
