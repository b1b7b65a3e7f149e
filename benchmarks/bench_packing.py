"""`python -m benchmarks.bench_packing`: a mixed matrix on four virtual GPUs, by what each cell takes and one a GPU.

Three models that take a quarter, a half and a whole GPU, as many cells of each; a cell only waits (the adapter `fake`).
The makespan runs from the first cell's start to the last one's end. The bound is the sum of share x time over the GPUs:
no packing can be shorter. `one_a_gpu` is what a runner does that gives each process a device.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any

from .support.box import program, scratch
from .support.machine import common_options, described, fsync_us, spread, write_results

GPUS = 4
SHARES = {"quarter": 0.25, "half": 0.5, "whole": 1}
METHODS = 4


def spec_of(*, cells: int, seconds: float, packed: bool) -> str:
    """The matrix, in JSON, which is YAML: `cells` of each model."""
    models = {name: {"resources": {"gpus": share if packed else 1}} for name, share in SHARES.items()}
    methods = {f"s{n}": {"method": f"s{n}", "compression_ratio": 0.1 * n} for n in range(1, METHODS)}
    spec = {
        "bench": "packing",
        "adapter": "fake",
        "options": {"seconds": seconds},
        "models": models,
        "sparse_attention": {"dense": {}, **methods},
        "benchmarks": {"niah": {"subsets": [f"u{n}" for n in range(cells // METHODS)], "samples": 1}},
        "resources": {"cpus": 0.01},
    }
    return json.dumps(spec)


def run(*, cells: int, seconds: float, packed: bool, folder: Path | None) -> dict[str, float]:
    """One matrix: the makespan, and by how much the bound is shorter."""
    with scratch(folder) as place:
        (place / "packing.yaml").write_text(spec_of(cells=cells, seconds=seconds, packed=packed))
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PASSLOOP_")}
        environment |= {"PASSLOOP_HOME": str(place / "home"), "PASSLOOP_VIRTUAL_GPUS": f"{GPUS}x80GiB"}
        for words in (["bench", "packing.yaml"], ["ls", "--json"]):
            done = subprocess.run([*program(), *words], cwd=place, env=environment, capture_output=True, text=True)
            if done.returncode:
                raise RuntimeError(f"exit {done.returncode}: {done.stderr[-2000:]}")
        tasks = json.loads(done.stdout)["tasks"]
    started, ended = (sorted(datetime.fromisoformat(task[key]) for task in tasks) for key in ("started_at", "ended_at"))
    makespan = (ended[-1] - started[0]).total_seconds()
    work = sum(share_of(task) * span_of(task) for task in tasks)
    return {"makespan": makespan, "over_bound": makespan / (work / GPUS), "cells": len(tasks)}


def share_of(task: dict[str, Any]) -> float:
    """What of a GPU a cell really takes, however much it was given."""
    return next(share for name, share in SHARES.items() if f"{name} /" in task["name"])


def span_of(task: dict[str, Any]) -> float:
    """Seconds from the start of a task to its end."""
    return (datetime.fromisoformat(task["ended_at"]) - datetime.fromisoformat(task["started_at"])).total_seconds()


def main() -> None:
    """Measure, print, and keep the results."""
    parser = common_options(__doc__, rounds=3)
    parser.add_argument("--cells", type=int, default=24, help="cells of each model")
    parser.add_argument("--seconds", type=float, default=1.5, help="how long a cell waits")
    given = parser.parse_args()
    if given.cells % METHODS:
        parser.error(f"the number of cells is a multiple of {METHODS}, the methods")
    found: dict[str, list[dict[str, float]]] = {"packed": [], "one_a_gpu": []}
    for _, name in itertools.product(range(given.rounds), found):
        packed = name == "packed"
        found[name].append(run(cells=given.cells, seconds=given.seconds, packed=packed, folder=given.folder))
    figures = {
        name: {
            "makespan_s": spread([each["makespan"] for each in runs], 2),
            "over_the_bound": spread([each["over_bound"] for each in runs]),
        }
        for name, runs in found.items()
    }
    with scratch(given.folder) as place:
        about = {**described(place), "fsync_us": fsync_us(place), "gpus": GPUS, "cells_of_each": given.cells}
    write_results("bench_packing", {**about, "seconds_a_cell": given.seconds, **figures}, dry_run=given.dry_run)


if __name__ == "__main__":
    main()
