"""`python -m benchmarks.tune.agreement --program aiperf=PATH --tokenizer DIR`: the built-in client beside others.

By turns they load the same timed server (see `timed_server`) with the same prompts, through the same `load`; foreign
clients live in environments of their own. Given are the means of what each measured, and the difference of the built-in
client's to it, in per cent. What the server itself took is known, so it can be said which of two is nearer.

    python3 -m venv /tmp/aiperf && /tmp/aiperf/bin/pip install aiperf==0.13.0
    python -m benchmarks.tune.agreement --program aiperf=/tmp/aiperf/bin/aiperf --tokenizer TOKENIZER_FOLDER
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

from benchmarks.support.machine import common_options, described, spread, write_results
from benchmarks.tune.client import TOKENS, server
from passloop.apps.tune.load.points import load
from passloop.apps.tune.records import LoadOrder, Point, PointResult

POINTS = (Point(concurrency=8, requests=64, warmup=8), Point(rate=8.0, requests=96, warmup=8, arrivals="constant"))
METRICS = ("ttft", "tpot", "e2e", "requests_per_second", "output_tokens_per_second")
BUILTIN = "builtin"


def measured(point: Point, order: LoadOrder, *, ttft: float, itl: float) -> PointResult:
    """One client at one point, before a fresh server."""
    with server(ttft, itl) as base:
        result = asyncio.run(load(order, point, base))
    assert not result.errors, result.error_kinds
    return result


def compared(rounds: dict[str, list[PointResult]]) -> dict[str, object]:
    """Means of each client, and the built-in one's difference to each other in per cent of it (medians of rounds)."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for name, results in rounds.items():
        found[name] = {
            metric: spread([one.metrics[metric]["mean"] for one in results])
            for metric in METRICS
            if all(metric in one.metrics for one in results)
        }
    ours = found[BUILTIN]
    differences = {
        name: {
            metric: round((ours[metric]["median"] / value["median"] - 1) * 100, 2) for metric, value in theirs.items()
        }
        for name, theirs in found.items()
        if name != BUILTIN
    }
    return {"means": found, "difference_percent": differences}


def main() -> None:
    """Measure and write down."""
    parser = common_options(__doc__, rounds=3)
    parser.add_argument("--program", action="append", required=True, metavar="CLIENT=PATH")
    parser.add_argument("--tokenizer", required=True, help="a folder that they can load")
    parser.add_argument("--ttft", type=float, default=400)
    parser.add_argument("--itl", type=float, default=20)
    given = parser.parse_args()
    common = LoadOrder(max_tokens=TOKENS, options={"api": "chat"})
    orders = {BUILTIN: common}
    for words in given.program:
        client, _, program = words.partition("=")
        options = {"api": "chat", "program": str(Path(program).absolute()), "tokenizer": given.tokenizer}
        orders[client] = msgspec.structs.replace(common, client=client, options=options)
    figures: dict[str, object] = {
        "machine": described(Path.cwd()),
        "tokens": TOKENS,
        "server_ms": {"ttft": given.ttft, "itl": given.itl},
    }
    for point in POINTS:
        able = {name: order for name, order in orders.items() if name != "genai-bench" or point.rate is None}
        rounds: dict[str, list[PointResult]] = {name: [] for name in able}
        for _ in range(given.rounds):
            for name, order in able.items():
                rounds[name].append(measured(point, order, ttft=given.ttft, itl=given.itl))
        figures[point.name] = compared(rounds)
    write_results("tune_agreement", figures, dry_run=given.dry_run)


if __name__ == "__main__":
    main()
