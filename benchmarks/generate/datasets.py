"""`python -m benchmarks.generate.datasets`: whole datasets while an endpoint misbehaves, beside gates and DataDesigner.

Four LLM columns that know nothing of each other, over four models of 20 ms, 4 calls at once for each. m3 is well,
closed for 10 s (429 with Retry-After), closed for ever, or broken for ever (500); or each model refuses 5 % of all
calls. Each program is a process of its own, killed after `--limit` seconds: `ended` says whether it came to an end by
itself. CPU and memory are beside those of the same program with one row. `--data-designer PYTHON` names a Python that
has it.

2,000 rows, as the figures are meant, and no longer than ten minutes whatever stalls:

    python -m benchmarks.generate.datasets --rows 2000 --within 10
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.generate.calls import IN_FLIGHT, MODELS, endpoint
from benchmarks.support.box import scratch
from benchmarks.support.machine import common_options, described, fsync_us, write_results
from passloop.testing.billing import bills_in

PEERS = Path(__file__).resolve().parents[1] / "peers"


def closed(**words: Any) -> dict[str, Any]:
    """A script of refusals."""
    return {"faults": [{"kind": "status", "status": 429, "retry_after": 1} | words]}


CASES: dict[str, dict[str, Any]] = {
    "clean": {},
    "one closed 10 s": {"m3": closed(until=10_000, retry_after=10)},
    "one closed for ever": {"m3": closed()},
    "one broken for ever": {"m3": closed(status=500, retry_after=None)},
    "5 % sporadic 429": {"*": closed(share=0.05)},
}


class Patience:
    """How long the next program may take: `limit` seconds, and of what is left of `within` minutes its share."""

    def __init__(self, limit: float, within: float | None, programs: int) -> None:
        self._limit = limit
        self._end = None if within is None else time.perf_counter() + within * 60
        self._programs = programs

    def next(self) -> float:
        """Seconds for one program more."""
        left, self._programs = self._programs, max(1, self._programs - 1)
        if self._end is None:
            return self._limit
        return min(self._limit, max(1.0, (self._end - time.perf_counter()) / left))


class Ended(NamedTuple):
    """How a program ended: seconds of wall and CPU, MiB at most, whether it came to an end itself, its last line."""

    wall: float
    cpu: float
    mib: float
    by_itself: bool
    code: int
    said: str


def run(words: Sequence[str], folder: Path, *, limit: float) -> Ended:
    """One program to its end, or to the limit."""
    began = time.perf_counter()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PASSLOOP_")}
    environment |= {"PASSLOOP_HOME": str(folder / "home"), "PASSLOOP_VIRTUAL_GPUS": "0", "HF_HUB_OFFLINE": "1"}
    with (folder / "said").open("w+b") as said:
        process = subprocess.Popen(
            words, cwd=folder, env=environment, stdout=said, stderr=subprocess.DEVNULL, start_new_session=True
        )
        by_itself = _wait(process.pid, limit)
        if not by_itself:
            os.killpg(process.pid, signal.SIGKILL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        last = said.read().decode(errors="replace").strip().splitlines()[-1:]
    cpu = usage.ru_utime + usage.ru_stime
    wall = time.perf_counter() - began
    return Ended(wall, cpu, usage.ru_maxrss / 1024, by_itself, process.returncode, "".join(last)[:200])


def _wait(pid: int, limit: float) -> bool:
    with selectors.DefaultSelector() as selector:
        descriptor = os.pidfd_open(pid)
        selector.register(descriptor, selectors.EVENT_READ)
        ended = bool(selector.select(limit))
        os.close(descriptor)
    return ended


def spec(folder: Path, url: str, rows: int) -> Path:
    """The same dataset for passloop."""
    columns = [{"name": "topic", "kind": "sampler", "choice": {"values": ["a", "b", "c"]}}]
    prompt = "Write a short ticket about {{ topic }}."
    columns += [{"name": f"by_m{n}", "kind": "llm_text", "model": f"m{n}", "prompt": prompt} for n in range(MODELS)]
    model = {"endpoint": "here", "max_in_flight": IN_FLIGHT, "params": {"max_tokens": 8}}
    whole = {
        "generate": "made",
        "rows": rows,
        "out": "made.parquet",
        "endpoints": {"here": {"base_url": url, "dead_after": "20s"}},
        "models": {f"m{n}": model | {"model": f"m{n}"} for n in range(MODELS)},
        "columns": columns,
    }
    path = folder / "made.yaml"
    path.write_text(json.dumps(whole), encoding="utf-8")
    return path


def programs(folder: Path, url: str, rows: int, data_designer: str | None) -> dict[str, list[str]]:
    """What is compared, by name."""
    found = {
        "gate by hand": [sys.executable, str(PEERS / "gated_calls.py"), url, str(rows)],
        "passloop": [sys.executable, "-m", "passloop.cli", "generate", str(spec(folder, url, rows))],
    }
    if data_designer:
        script = str(PEERS / "in_data_designer.py")
        found["DataDesigner"] = [data_designer, script, url, str(rows), str(folder / "artifacts")]
    return found


def seen(log: Path) -> dict[str, Any]:
    """What the endpoint saw: calls, refusals, and how the models that were well were kept busy."""
    bills = bills_in(log)
    well = sorted(int(str(one["at"])) for one in bills if one["what"] == "answered" and one["model"] != "m3")
    gaps = [later - sooner for sooner, later in pairwise(well)]
    span = (well[-1] - well[0]) / 1e3 if len(well) > 1 else 0.0
    received = sum(one["what"] == "received" for one in bills)
    return {
        "calls": received,
        "not_answered": received - sum(one["what"] == "answered" for one in bills),
        "healthy_answers": len(well),
        "healthy_a_second": round(len(well) / span, 1) if span else None,
        "healthy_in_the_first_10_s": sum(at - well[0] < 10_000 for at in well) if well else 0,
        "longest_healthy_gap_ms": max(gaps, default=None),
    }


def measured(
    folder: Path, script: dict[str, Any], name: str, rows: int, given: Any, *, limit: float
) -> tuple[Ended, dict[str, Any]]:
    """One program before a new endpoint, in a new folder."""
    place = folder / f"{name}-{time.monotonic_ns()}"
    place.mkdir()
    with endpoint(place, script) as (url, log):
        words = programs(place, url, rows, given.data_designer)[name]
        ended = run(words, place, limit=limit)
        return ended, seen(log)


def figures_of(
    folder: Path, script: dict[str, Any], given: Any, alone: dict[str, Ended], patience: Patience
) -> dict[str, Any]:
    """Every program in turn, on one case."""
    found = {}
    for name, base in alone.items():
        ended, told = measured(folder, script, name, given.rows, given, limit=patience.next())
        calls = max(1, told["calls"])
        found[name] = {
            "seconds": round(ended.wall - base.wall, 2),
            "ended": ended.by_itself,
            "exit_code": ended.code,
            "cpu_ms_a_call": round((ended.cpu - base.cpu) / calls * 1e3, 3),
            "mib_beside_one_row": round(ended.mib - base.mib, 1),
            **told,
            "said": ended.said,
        }
    return found


def main() -> None:
    """Measure and write down."""
    parser = common_options(__doc__, rounds=1)
    parser.add_argument("--rows", type=int, default=2_000)
    parser.add_argument("--limit", type=float, default=120.0, help="seconds after which a program is killed")
    parser.add_argument("--within", type=float, metavar="MINUTES", help="of all programs together; slow ones share it")
    parser.add_argument("--data-designer", metavar="PYTHON")
    parser.add_argument("--only", action="append", choices=sorted(CASES), help="one case; may be said again")
    given = parser.parse_args()
    with scratch(given.folder) as folder:
        figures: dict[str, object] = {"machine": described(folder), "fsync_us": fsync_us(folder), "rows": given.rows}
        names = programs(folder, "http://127.0.0.1:9/v1", 1, given.data_designer)
        cases = given.only or list(CASES)
        patience = Patience(given.limit, given.within, len(names) * (1 + len(cases) * given.rounds))
        alone = {name: measured(folder, {}, name, 1, given, limit=patience.next())[0] for name in names}
        figures["one_row_seconds_and_mib"] = {n: [round(e.wall, 2), round(e.mib)] for n, e in alone.items()}
        for case in cases:
            figures[case] = [figures_of(folder, CASES[case], given, alone, patience) for _ in range(given.rounds)]
    write_results("generate_datasets", figures, dry_run=given.dry_run)


if __name__ == "__main__":
    main()
