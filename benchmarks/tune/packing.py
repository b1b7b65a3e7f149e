"""`python -m benchmarks.tune.packing`: how well trials fill the GPUs, and what a trial costs beside its server.

Scripted servers that take a fixed time to start and a fixed time to be loaded, 20 trials on 8 virtual GPUs: one GPU
each with 1, 2, 4 and 8 trials at once, then trials of 1, 2, 4 and 8 GPUs. Beside each makespan stands that of the best
packing of the same trials if nothing but starting and loading took time; and what the same server takes when a plain
loop starts, loads and ends it (by hand), since an interpreter's own start is no overhead of ours. The last case counts
repeats among 40 trials, 8 at once, in 120 points, with TPE.

Five minutes with trials of 4 s, in which overhead weighs more than in any real one; `--start 5000 --load 5000` takes
twelve. The package is compiled first, as an installation leaves it: trials are many short processes.
"""

from __future__ import annotations

import compileall
import json
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from datetime import datetime
from pathlib import Path
from typing import Any

import passloop
from benchmarks.support.box import opened
from benchmarks.support.machine import common_options, described, fsync_us, spread, write_results

GPUS, TRIALS = 8, 20
SIZES = (8, 4, 2, 1)
REQUESTS, FLOORS = 4, 3


def main() -> None:
    """Measure and write down."""
    parser = common_options(__doc__, rounds=1)
    parser.add_argument("--start", type=int, default=2_000, help="of a server, ms")
    parser.add_argument("--load", type=int, default=2_000, help="of a trial, ms")
    parser.add_argument("--parallel", type=int, nargs="*", default=[1, 2, 4, 8], help="trials at once, one GPU each")
    given = parser.parse_args()
    compileall.compile_dir(str(Path(passloop.__file__).parent), quiet=2)
    with opened(given.folder, cpus=64, gpus=f"{GPUS}x80GiB") as box:
        figures: dict[str, object] = {
            "machine": described(box.folder),
            "fsync_us": fsync_us(box.folder),
            "start_ms": given.start,
            "load_ms": given.load,
        }
        given.by_hand = statistics.median(by_hand(given) for _ in range(FLOORS))
        figures["by_hand_s"] = round(given.by_hand, 3)
        for parallel in given.parallel:
            name = f"{parallel} at once"
            figures[name] = packed(box, spec(name, given, parallel=parallel), [1] * TRIALS, parallel, given)
        mixed = [size for size in SIZES for _ in range(TRIALS // len(SIZES))]
        for sampler in ("bruteforce", "random"):
            name = f"1, 2, 4 and 8 GPUs, {sampler}"
            figures[name] = packed(
                box, spec(name, given, parallel=GPUS, sampler=sampler, sizes=True), mixed, GPUS, given
            )
        figures["repeats"] = repeats(box)
    write_results("tune_packing", figures, dry_run=given.dry_run)


def spec(name: str, given: Any, *, parallel: int, sampler: str = "grid", sizes: bool = False) -> dict[str, Any]:
    """A study whose trials all take the same time."""
    argv = ["{python}", "-m", "passloop.testing.server", "--port", "{port}", "--start", str(given.start)]
    argv += ["--ttft", str(given.load // REQUESTS), "--tpot", "0", "--model", "{size}-{each}"]
    counts = list(SIZES) if sizes else [1]
    return {
        "tune": name.replace(",", "").replace(" ", "-"),
        "engine": {"argv": argv, "env": {"CASE": name}, "ready": {"timeout": "5m"}},
        "space": {"size": counts, "each": {"type": "int", "low": 1, "high": TRIALS // len(counts)}},
        "resources": {"gpus": "size", "cpus": 1},
        "load": {"points": [{"concurrency": 1}], "requests": REQUESTS, "warmup": 0, "max_tokens": 1},
        "objectives": ["minimize_latency"],
        "search": {"sampler": sampler, "max_parallel": parallel, "baseline": False, "stop_early": False},
    }


def by_hand(given: Any) -> float:
    """Seconds that one server takes when a plain loop starts it, asks until it is ready, loads and ends it."""
    began = time.monotonic()
    words = ["-m", "passloop.testing.server", "--port", "0", "--start", str(given.start), "--tpot", "0"]
    words += ["--ttft", str(given.load // REQUESTS), "--log", "/dev/stdout"]
    with subprocess.Popen([sys.executable, *words], stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        base = f"http://127.0.0.1:{json.loads(server.stdout.readline())['port']}"
        while not is_ready(base):
            time.sleep(0.02)
        for _ in range(REQUESTS):
            body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "x"}], "max_tokens": 1}).encode()
            head = {"Content-Type": "application/json"}
            with urllib.request.urlopen(urllib.request.Request(f"{base}/v1/chat/completions", body, head)) as answer:
                answer.read()
        server.terminate()
    return time.monotonic() - began


def is_ready(base: str) -> bool:
    """Whether a server's health path says so."""
    try:
        with urllib.request.urlopen(f"{base}/health") as answer:
            return bool(answer.status == 200)
    except urllib.error.HTTPError:
        return False


def packed(box: Any, told: dict[str, Any], sizes: list[int], parallel: int, given: Any) -> dict[str, object]:
    """Run a study; its makespan beside that of the best packing, and the overhead of its trials."""
    trials = tuned(box, told)
    each = (given.start + given.load) / 1_000
    best = rounds(sizes, parallel) * each
    makespan = max(trial["ended"] for trial in trials) - min(trial["started"] for trial in trials)
    assert sorted(trial["gpus"] for trial in trials) == sorted(sizes)
    return {
        "makespan_s": round(makespan, 2),
        "best_packing_s": round(best, 2),
        "ratio": round(makespan / best, 3),
        "ratio_to_by_hand": round(makespan / (rounds(sizes, parallel) * given.by_hand), 3),
        "sequential_s": round(len(sizes) * each, 2),
        "overhead_s": spread([trial["ended"] - trial["started"] - given.by_hand for trial in trials]),
        "next_start_s": round(statistics.median(gaps(trials)), 3) if gaps(trials) else None,
    }


def rounds(sizes: list[int], parallel: int) -> int:
    """The fewest rounds of equal trials: first fit, the largest first, which is best possible for powers of two."""
    found: list[tuple[int, int]] = []
    for size in sorted(sizes, reverse=True):
        for place, (free, places) in enumerate(found):
            if free >= size and places:
                found[place] = free - size, places - 1
                break
        else:
            found.append((GPUS - size, parallel - 1))
    return len(found)


def gaps(trials: list[dict[str, Any]]) -> list[float]:
    """From each end to the next start after it, s."""
    starts = sorted(trial["started"] for trial in trials)
    ends = sorted(trial["ended"] for trial in trials)
    return [later[0] - end for end in ends if (later := [start for start in starts if start >= end])]


def repeats(box: Any) -> dict[str, object]:
    """Forty quick trials, eight at once, in 120 points."""
    argv = ["{python}", "-m", "passloop.testing.server", "--port", "{port}", "--ttft", "{a}", "--tpot", "{b}"]
    told = {
        "tune": "repeats",
        "engine": {"argv": [*argv, "--model", "{c}"], "ready": {"timeout": "5m"}},
        "space": {"a": [1, 2, 3, 4, 5], "b": [0, 1, 2, 3, 4, 5], "c": ["x", "y", "z", "w"]},
        "resources": {"gpus": 1, "cpus": 1},
        "load": {"points": [{"concurrency": 1}], "requests": 2, "warmup": 0, "max_tokens": 4},
        "objectives": ["minimize_latency"],
        "search": {"sampler": "tpe", "max_trials": 40, "max_parallel": 8, "baseline": False, "stop_early": False},
    }
    trials = tuned(box, told)
    distinct = {json.dumps(trial["params"], sort_keys=True) for trial in trials}
    return {"trials": len(trials), "repeats": len(trials) - len(distinct)}


def tuned(box: Any, told: dict[str, Any]) -> list[dict[str, Any]]:
    """Run a study to its end; what each of its trials was and when."""
    path = Path(box.folder) / "study.yaml"
    path.write_text(json.dumps(told), encoding="utf-8")
    document = json.loads(box.command("tune", str(path), "--json"))
    return [
        {
            "params": trial["params"],
            "gpus": len(trial["gpus"]),
            "started": datetime.fromisoformat(trial["started_at"]).timestamp(),
            "ended": datetime.fromisoformat(trial["ended_at"]).timestamp(),
        }
        for trial in document["trials"]
    ]


if __name__ == "__main__":
    main()
