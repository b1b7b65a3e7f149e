"""`python -m benchmarks.warm_calls`: no-op Python calls on two warm workers, durable, beside ProcessPoolExecutor.

From the submission over the socket to the answer that the last call is final, everything committed with
synchronous=FULL; each call has a folder, a start record, an exit record, its own logs and its result. A first run lets
the engine learn that such calls are short. Beside it in the same rounds: the standard library's pool of two processes
with no durability at all, and a fresh interpreter for each call. CPU time is that of the daemon and of its workers.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import psutil

from .peers.nothing import ROOT, fresh_processes, process_pool
from .support.box import Box, opened
from .support.machine import common_options, described, fsync_us, spread, write_results

WORKERS = 2
FRESH = 20


def calls(count: int) -> bytes:
    """The body of a submission of `count` calls."""
    target = "benchmarks.peers.nothing:nothing"
    tasks = [{"command": ["nothing"], "call": {"target": target, "args": [n]}} for n in range(count)]
    spec = {"warm_key": "benchmark", "task_class": "no-op call"}
    return json.dumps({"tasks": tasks, "spec": spec, "cwd": str(ROOT), "name": "calls"}).encode()


def run_through(box: Box, count: int) -> float:
    """Calls a second from the submission to the end of the last one. All must have succeeded."""
    body = calls(count)
    began = time.perf_counter()
    run = box.submit(body)["run"]["id"]
    ended = box.wait(run)
    span = time.perf_counter() - began
    states = {task["state"] for task in ended}
    if states != {"succeeded"}:
        raise RuntimeError(f"the calls ended as {states}")
    return count / span


def cpu_seconds(pid: int) -> float:
    """CPU seconds of the daemon and of all that lived below it so far."""
    daemon = psutil.Process(pid)
    own = daemon.cpu_times()
    below = [child.cpu_times() for child in daemon.children(recursive=True)]
    times = [own, *below]
    return sum(t.user + t.system + t.children_user + t.children_system for t in times)


def through_workers(folder: Path | None, count: int) -> tuple[float, float]:
    """(calls a second, CPU ms of the engine a call) on a fresh home that has seen a few of them."""
    with opened(folder, cpus=WORKERS) as box:
        run_through(box, 100)
        before = cpu_seconds(box.pid)
        rate = run_through(box, count)
        return rate, (cpu_seconds(box.pid) - before) * 1e3 / count


def main() -> None:
    """Measure in turns, print, write."""
    parser = common_options(__doc__, rounds=5)
    parser.add_argument("--count", type=int, default=10_000)
    options = parser.parse_args()
    rates: dict[str, list[float]] = {"passloop": [], "process_pool": [], "fresh_interpreter": []}
    cpu: list[float] = []
    fsyncs: list[float] = []
    with opened(options.folder, cpus=WORKERS) as box:
        disk = box.folder
        for _ in range(options.rounds):
            rate, milliseconds = through_workers(options.folder, options.count)
            rates["passloop"].append(rate)
            cpu.append(milliseconds)
            rates["process_pool"].append(process_pool(options.count, WORKERS))
            rates["fresh_interpreter"].append(fresh_processes(FRESH))
            fsyncs.append(fsync_us(disk))
            print("  ".join(f"{name} {values[-1]:,.0f}/s" for name, values in rates.items()), flush=True)
        figures = {
            "machine": described(disk),
            "calls": options.count,
            "workers": WORKERS,
            "calls_a_second": {name: spread(values, 0) for name, values in rates.items()},
            "cpu_ms_a_call": spread(cpu),
            "fsync_us": spread(fsyncs, 1),
        }
    write_results("warm_calls", figures, dry_run=options.dry_run)


if __name__ == "__main__":
    main()
