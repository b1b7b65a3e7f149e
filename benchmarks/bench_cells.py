"""`python -m benchmarks.bench_cells`: small cells of a model, warm, in a process each, and in a researcher's loop.

The model is a Llama of random weights, so that nearly all of a cell is what is around it. `passloop bench` runs the
matrix from its start to its table, with everything stored and checked; the loop only answers. What a cell costs beside
its own work is the CPU time of all processes of a matrix, less that of the loop, over the cells. It wants the extra
`bench`: `make test-bench` sets up an environment with it, `.venv-bench`.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.support.tiny_llama import save_tiny_llama

from .support.box import program, scratch
from .support.machine import common_options, described, fsync_us, spread, write_results
from .support.tree_time import cpu_of

METHODS = ("dense", "knorm", "tova", "streaming_llm")
SAMPLES = 2
FIRST_LENGTH = 200
LOOP = Path(__file__).parent / "peers" / "cell_loop.py"
QUIET = {"HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1", "OMP_NUM_THREADS": "1", "PASSLOOP_VIRTUAL_GPUS": "0"}


def subsets_of(cells: int) -> list[str]:
    """As many subsets as make so many cells, each a token longer."""
    return [f"single_{FIRST_LENGTH + number}" for number in range(cells // len(METHODS))]


def spec_of(model: Path, subsets: Sequence[str], *, warm: bool) -> str:
    """The matrix, in JSON, which is YAML."""
    methods = {name: {} if name == "dense" else {"method": name, "compression_ratio": 0.5} for name in METHODS}
    spec = {
        "bench": "cells",
        "warm": warm,
        "models": {"tiny": {"source": str(model), "load": {"dtype": "float32"}}},
        "sparse_attention": methods,
        "benchmarks": {"niah": {"subsets": list(subsets), "samples": SAMPLES}},
        "defaults": {"generation": {"max_new_tokens": 4}},
        "resources": {"cpus": 1},
    }
    return json.dumps(spec)


def through_passloop(model: Path, cells: int, *, warm: bool, cpus: int, folder: Path | None) -> dict[str, float]:
    """Seconds from the start of the command to its end, and what the cells themselves say they took."""
    with scratch(folder) as place:
        (place / "cells.yaml").write_text(spec_of(model, subsets_of(cells), warm=warm))
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PASSLOOP_")},
            **QUIET,
            "PASSLOOP_HOME": str(place / "home"),
            "PASSLOOP_CPUS": str(cpus),
        }
        words = [*program(), "bench", "cells.yaml"]
        began = time.perf_counter()
        done, cpu = cpu_of(
            lambda: subprocess.run(words, cwd=place, env=environment, capture_output=True, text=True, check=False)
        )
        span = time.perf_counter() - began
        ended = [json.loads(path.read_text()) for path in (place / "results").rglob("DONE.json")]
        if done.returncode or len(ended) != cells:
            raise RuntimeError(f"exit {done.returncode}, {len(ended)} of {cells} cells: {done.stderr[-2000:]}")
        own = sum(end["millis"].get("run", 0) for end in ended) / 1e3
        loads = sum(end["millis"].get("load", 0) for end in ended) / 1e3
        return {"seconds": span, "answering": own, "loading": loads, "cpu": cpu}


def through_loop(model: Path, cells: int) -> dict[str, float]:
    """Seconds of the whole process, and of its loading and its cells."""
    words = [sys.executable, str(LOOP), str(model), str(SAMPLES), ",".join(subsets_of(cells)), ",".join(METHODS)]
    began = time.perf_counter()
    environment = {**os.environ, **QUIET, "PYTHONPATH": str(Path(__file__).parents[1])}
    done, cpu = cpu_of(lambda: subprocess.run(words, env=environment, capture_output=True, text=True, check=True))
    span = time.perf_counter() - began
    loading, answering = map(float, done.stdout.split()[-2:])
    return {"seconds": span, "answering": answering, "loading": loading, "cpu": cpu}


def measured(model: Path, *, rounds: int, cells: int, fresh: int, folder: Path | None) -> Iterator[tuple[str, object]]:
    """All ways in turns, for so many rounds."""
    ways = {
        "warm_1": lambda: through_passloop(model, cells, warm=True, cpus=1, folder=folder),
        "warm_2": lambda: through_passloop(model, cells, warm=True, cpus=2, folder=folder),
        "process_a_cell_2": lambda: through_passloop(model, fresh, warm=False, cpus=2, folder=folder),
        "loop": lambda: through_loop(model, cells),
    }
    counts = {name: fresh if name.startswith("process") else cells for name in ways}
    found: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    for _, (name, way) in itertools.product(range(rounds), ways.items()):
        found[name].append(way())
    for name, runs in found.items():
        count = counts[name]
        yield (
            name,
            {
                "cells": count,
                "cells_a_second": spread([count / run["seconds"] for run in runs]),
                "seconds": spread([run["seconds"] for run in runs], 2),
                "answering_s": spread([run["answering"] for run in runs], 2),
                "loading_s": spread([run["loading"] for run in runs], 2),
                "cpu_s": spread([run["cpu"] for run in runs], 2),
            },
        )
    for name in ("warm_1", "warm_2"):
        beside = [(mine["cpu"] - loop["cpu"]) / cells for mine, loop in zip(found[name], found["loop"], strict=True)]
        yield f"cpu_s_beside_a_cell_{name}", spread(beside)


def main() -> None:
    """Measure, print, and keep the results."""
    parser = common_options(__doc__, rounds=2)
    parser.add_argument("--cells", type=int, default=120, help="cells of the warm matrix and of the loop")
    parser.add_argument("--fresh", type=int, default=4, help="cells of the matrix with a process each")
    options = parser.parse_args()
    if options.cells % len(METHODS) or options.fresh % len(METHODS):
        parser.error(f"each number of cells is a multiple of {len(METHODS)}, the methods")
    with scratch(options.folder) as place:
        model = save_tiny_llama(place / "tiny")
        figures = dict(
            measured(model, rounds=options.rounds, cells=options.cells, fresh=options.fresh, folder=options.folder)
        )
        write_results(
            "bench_cells",
            {**described(place), "fsync_us": fsync_us(place), "samples_a_cell": SAMPLES, **figures},
            dry_run=options.dry_run,
        )


if __name__ == "__main__":
    main()
